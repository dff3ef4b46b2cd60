"""Layers that weigh features or experts."""
