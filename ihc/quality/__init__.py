"""What is odd in the shop's tables, and what mends it."""
