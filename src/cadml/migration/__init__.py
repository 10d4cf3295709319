"""Vectors from one feature version to another: described again from the stored part, or cut, never padded."""
