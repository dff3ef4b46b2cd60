"""Prediction server with TensorFlow Serving's REST and gRPC interface.

`python -m serving.server` serves SavedModels, `python -m serving.client` talks to
it or to a `tensorflow/serving` container.
"""
