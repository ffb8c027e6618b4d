"""From the configuration's model to megatron-core's: layers, initial weights, which parameter is which weight."""
