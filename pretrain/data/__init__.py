"""Token shards as they lie in the store, and the batches of a step."""
