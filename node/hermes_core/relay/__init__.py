"""The half of a chat that a node holds: it relays what it cannot read."""
