"""The feature cache and what is known about how large it should be."""
