"""Training by workers that ask servers for the parameters, each at its own pace."""
