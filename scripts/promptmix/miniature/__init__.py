"""Renderers of the miniature datasets: crowds with known heads, rooms with known depth."""
