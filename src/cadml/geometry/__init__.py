"""A file becomes a :class:`~cadml.geometry.part.Part`. Knows no HTTP, database, settings or metrics."""
