"""Attention over histories beside their mean."""
