"""A pass over one mesh: observe, plan, store, apply, act."""
