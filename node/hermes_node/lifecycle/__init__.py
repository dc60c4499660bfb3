"""A node from start to stop."""
