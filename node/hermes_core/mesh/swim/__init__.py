"""SWIM with Lifeguard: who is there, found out by probing few, and believing nobody's word of another's life."""
