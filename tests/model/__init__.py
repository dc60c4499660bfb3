"""Model-based test of the chat machines: apps and nodes in one process, a hostile network, invariants after every step."""
