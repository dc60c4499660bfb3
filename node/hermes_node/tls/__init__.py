"""TLS files, read, judged and reloaded."""
