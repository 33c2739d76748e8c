"""Attribution models, one per module."""
