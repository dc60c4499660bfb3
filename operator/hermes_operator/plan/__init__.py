"""Desired and observed in, actions and problems out; pure."""
