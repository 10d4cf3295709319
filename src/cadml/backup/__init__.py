"""A library as one file or folder, and back: database and blobs as of one moment, while it is in use."""
