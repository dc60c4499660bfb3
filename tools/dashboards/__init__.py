"""The dashboards as typed data; `python -m tools.generate_dashboards` writes the JSON that Grafana takes."""
