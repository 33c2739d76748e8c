"""Charts, a file a topic."""
