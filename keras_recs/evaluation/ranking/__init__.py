"""Measuring recommenders over a catalogue: ranks, protocols, splits, significance."""
