"""Layers that several tasks share, and what each has for itself."""
