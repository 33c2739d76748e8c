"""Figures out of tables and credits."""
