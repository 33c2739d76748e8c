"""Estimate model parameters from API answers or from journeys."""
