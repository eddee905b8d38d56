"""The operations as methods, by noun."""
