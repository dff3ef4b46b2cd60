"""Tests of `keras_recs.export`."""
