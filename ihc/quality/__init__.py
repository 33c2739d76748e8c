"""Data quality checks of the shop's tables, with remedies."""
