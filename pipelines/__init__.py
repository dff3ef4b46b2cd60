"""Programs from raw logs to an export; run them with `python -m pipelines.<name>`."""
