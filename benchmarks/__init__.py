"""Programs that measure keras_recs; run them with `python -m benchmarks.<name>`."""
