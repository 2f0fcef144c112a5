"""Fetching what others have published."""
