"""One configuration becomes a graph of stages, a plan against a store, and a run."""
