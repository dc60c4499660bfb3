"""Mesh membership and the app directory, sans-IO: who is alive, and which node each app is at home on."""
