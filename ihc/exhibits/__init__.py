"""Exhibits of a report, one module per topic. Each function turns report data into an exhibit."""
