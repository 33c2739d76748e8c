"""Look-ups and sums over columns of ids and amounts."""
