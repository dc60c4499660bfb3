"""The restart/resume scenario: one module that runs against local processes, in a cluster, and from CI."""
