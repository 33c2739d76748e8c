"""Settings from options, environment variables, `.env` and defaults, in this order of precedence."""
