"""The handshake of one channel and epoch: signed ephemerals, transcript, key schedule, confirmation."""
