"""The soak: real nodes and real apps on loopback under drawn faults, and a ledger that holds what came against the promises."""
