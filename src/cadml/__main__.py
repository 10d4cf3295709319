"""``python -m cadml``."""

from cadml.cli import main

main()
