"""How a stage runs and survives: identity, store, leases, items, the shuffle. The only room that knows Beam."""
