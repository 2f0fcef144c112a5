"""What a config says: its check, its experiments, its tables, and where things come from. No torch."""
