"""Build customer journeys from sessions and conversions, and check their credit."""
