"""The alert rules as typed data; `python -m tools.generate_alerts` writes what Prometheus, the chart and people read."""
