"""A run, from the tables to the report."""
