"""Simulate shops whose truth is known to score the models against it, and damage a shop's tracking to test verdicts."""
