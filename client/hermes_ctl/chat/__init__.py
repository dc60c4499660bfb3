"""What `hermesctl chat` is made of: the conversation, what is kept of it, and how its store is opened."""
