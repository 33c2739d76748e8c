"""The IHC Attribution API over the local engine."""
