"""Streams of bytes and what bounds them: outboxes, pending frames, gRPC servers."""
