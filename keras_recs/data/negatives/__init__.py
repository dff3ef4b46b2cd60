"""Items that were not chosen, drawn with NumPy."""
