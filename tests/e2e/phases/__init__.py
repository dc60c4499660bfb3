"""The phases of the end-to-end run, in order; `python -m tests.e2e.run` runs them."""
