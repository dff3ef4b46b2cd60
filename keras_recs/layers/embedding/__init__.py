"""Embedding tables and what looks rows up in them."""
