"""The shop's database: inputs, results, history, locks."""
