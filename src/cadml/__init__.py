"""cadml: a self-hosted CAD machine-learning service."""

from importlib.metadata import version

__version__ = version("cadml")
