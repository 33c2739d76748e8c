"""From sessions and orders to journeys, and the credit on them."""
