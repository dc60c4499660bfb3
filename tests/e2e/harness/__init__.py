"""A real Kubernetes for the end-to-end tests: as host processes, with kind, or one that is there already."""
