"""What `status` says for people and machines: phase, conditions, events of changes."""
