"""A session has a secret: the handshake of a stream, the keys it gives, and the tags of control messages."""
