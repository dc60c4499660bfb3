"""Membership alone, thousands of members in one process under a virtual clock: `python -m tests.mesh`."""
