"""Every metric of a node, by concern."""
