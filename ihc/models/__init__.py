"""The attribution models, one a file."""
