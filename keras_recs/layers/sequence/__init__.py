"""Layers that read histories."""
