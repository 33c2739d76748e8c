"""The IHC Attribution API."""
