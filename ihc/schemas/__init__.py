"""The shop's tables: columns, rules, refunds, and the words of a refusal."""
