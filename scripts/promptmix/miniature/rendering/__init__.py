"""Rendered crowds and rooms, in the authors' formats."""
