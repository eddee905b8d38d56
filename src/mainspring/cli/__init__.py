"""The one command, one file per noun: parse, call, print."""
