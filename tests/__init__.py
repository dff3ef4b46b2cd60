"""Tests of keras_recs, pipelines and serving; they mirror the tree."""
