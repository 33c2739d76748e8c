"""Experiments: their results, iROAS calibrated by them, the experiment to run next, and scenarios."""
