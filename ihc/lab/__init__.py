"""Generate shops whose true incremental orders are known, and score the models against this truth."""
