"""The symmetric ratchet: chains, reservation ahead of the wire, channels and their epochs."""
