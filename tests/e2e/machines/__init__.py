"""What only several machines show: `make e2e-machines`."""
