"""Networks, one module each, and the modules that make them, load and save their weights, and count their cost."""
