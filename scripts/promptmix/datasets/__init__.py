"""Datasets: readers, splits, and the prepared form that all later steps read."""
