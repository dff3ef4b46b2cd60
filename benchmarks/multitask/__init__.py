"""Multi-task models: what sharing gains and costs."""
