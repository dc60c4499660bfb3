"""The node: gRPC, TLS, files and timers around the sans-IO core."""
