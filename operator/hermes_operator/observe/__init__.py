"""What the cluster shows of one mesh, read once a pass."""
