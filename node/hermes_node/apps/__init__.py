"""Apps' streams: challenge, connect, batches, sessions."""
