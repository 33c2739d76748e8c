"""Database access: input tables, results, run history and locks."""
