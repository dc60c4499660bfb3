"""Every metric of a node, by concern; which event counts where; every value that a label can have."""
