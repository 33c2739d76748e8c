"""Command-line interface: parse options, call the library, print results."""
