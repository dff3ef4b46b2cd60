"""Altered forms of sequences."""
