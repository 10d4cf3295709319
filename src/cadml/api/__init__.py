"""The HTTP face: one file per noun, errors as RFC 9457 problems."""
