"""Fast lookups and exact sums over columns."""
