"""Limits of journeys, in a module of their own so that the command line can use them without loading pandas."""

LONGEST_LOOKBACK = 100_000  # days
