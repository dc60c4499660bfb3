"""The configuration: sections, sources, rules, reference."""
