"""Structured logs and every event they know."""
