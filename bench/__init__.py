"""Benchmarks, run by hand: each prints our figure beside a reference measured in the same run."""
