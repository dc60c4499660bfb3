"""How many chats and messages a mesh carries: measured of real nodes, and multiplied out: `python -m benchmarks.scaling`."""
