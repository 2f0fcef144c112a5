"""Readers of datasets, one module per format."""
