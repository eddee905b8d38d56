"""Mainspring: one self-hosted server that makes things happen on time."""

__version__ = "0.1.0"
