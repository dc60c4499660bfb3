"""The one task that owns the chat machine, what it keeps, and what it tells."""
