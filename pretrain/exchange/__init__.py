"""Models as other tools have them."""
