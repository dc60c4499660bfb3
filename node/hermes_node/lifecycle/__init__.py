"""A node from start to end: its steps as types, the way from one to the next, and who owns the one that was reached."""
