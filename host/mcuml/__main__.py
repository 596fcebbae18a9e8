"""`python -m mcuml`: the same as the `mcuml` command."""

from mcuml.cli import main

main()
