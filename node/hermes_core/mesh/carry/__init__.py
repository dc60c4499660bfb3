"""Chats of two nodes that do not reach each other, through a third one: who asks for it, and what the third one takes on."""
