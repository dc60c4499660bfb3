"""The admin HTTP server and what it answers."""
