"""The protocol between a front and its owner, sans-IO: bytes in, events out."""
