"""The shop's tables: columns, validation, refunds and error messages."""
