"""Damaged and odd datasets of each format: the right result, or a clear error that names a file."""
