"""What a journey may be asked for; apart, as the command line says it without loading pandas."""

LONGEST_LOOKBACK = 100_000  # days
