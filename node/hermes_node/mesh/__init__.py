"""Other nodes: joining, dialling, serving, links."""
