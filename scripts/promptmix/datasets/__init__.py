"""Datasets: readers, splits, and the form in which all stages read them."""
