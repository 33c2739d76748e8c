"""From a shop's exports to the tables."""
