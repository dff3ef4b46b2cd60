"""Explicit interactions between fields."""
