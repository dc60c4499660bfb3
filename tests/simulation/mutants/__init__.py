"""Faults put into the product on purpose, each by name: what the simulation's invariants must catch (`__main__` runs them)."""
