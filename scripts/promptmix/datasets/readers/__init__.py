"""Datasets in their authors' formats, a module per format."""
