"""Durable work: a queue in the database that the workers of all machines serve."""
