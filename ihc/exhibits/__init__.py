"""What a report shows, a file a topic: each function makes an exhibit of a report's data."""
