"""Pure builders: the wanted mesh in, manifests as plain dicts out. No clock, no network; keys come from `certificates` only."""
