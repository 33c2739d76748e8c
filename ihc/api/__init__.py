"""Client for the IHC Attribution API: batching, requests, retries and stored answers."""
