"""Programs from raw logs to an export; run them with `python -m pipelines.<name>`."""

import os

# By itself TensorFlow multiplies by oneDNN on some processors alone; on the others a
# step of a model of sequences takes twice the time. It must be set before the import.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
