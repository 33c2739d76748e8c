"""`python -m ihc` is the command `ihc`."""

from ihc.cli.app import main

main()
