"""Layers that weigh features."""
