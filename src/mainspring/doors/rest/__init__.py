"""The REST door: /v1, discovery of its own shape, health and metrics."""
