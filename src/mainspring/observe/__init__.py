"""Logs and metrics: subscribers to what the core says has happened."""
