"""kind without a registry: an engine of our own, a node image made here, and what a cluster of several nodes needs."""
