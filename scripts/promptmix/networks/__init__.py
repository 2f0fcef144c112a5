"""Networks, a module each, and what loads, saves and counts them."""
