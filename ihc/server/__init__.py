"""HTTP server with the interface of the IHC Attribution API, using the local engine."""
