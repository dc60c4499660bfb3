"""The owner's side of fronts: it starts, watches and ends them, and serves the streams that they pass on."""
