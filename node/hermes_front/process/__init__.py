"""A front's process."""
