"""The operations as methods, by noun."""

# Written by tools/twins.py from nouns/__init__.py: edit that one, then run the tool.
