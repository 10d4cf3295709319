"""A :class:`~cadml.geometry.part.Part` becomes vectors. Knows no HTTP, database, settings or metrics."""
