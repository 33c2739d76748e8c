"""Findings in sentences, a file a topic."""
