"""Settings: option, environment, `.env`, default."""
