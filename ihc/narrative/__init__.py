"""Findings as sentences, one module per topic."""
