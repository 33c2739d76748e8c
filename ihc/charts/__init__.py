"""Charts, one module per topic."""
