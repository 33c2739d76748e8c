"""Parameters of the local engine out of data."""
