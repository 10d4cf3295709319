"""What is remembered: PostgreSQL for facts and vectors, fsspec for files."""
