"""What a reader gets: tables, charts, files, the page."""
