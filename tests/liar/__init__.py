"""A member with a valid certificate that lies in every field of every message, as a process among real nodes."""
