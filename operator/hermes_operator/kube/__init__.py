"""The API server as the operator uses it: kinds, calls, events."""
