"""Compute report figures from tables and credits."""
