"""Counting values and measuring numbers in bounded memory."""
