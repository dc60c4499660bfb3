"""The configuration: sections, sources, rules."""
