"""Output of a report: exhibits, tables, charts, files and the HTML page."""
