"""Run the `ihc` command as `python -m ihc`."""

from ihc.cli.app import main

main()
