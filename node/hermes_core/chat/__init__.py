"""Chats: what flows between apps and nodes, and the machines that decide (node side and app side)."""
