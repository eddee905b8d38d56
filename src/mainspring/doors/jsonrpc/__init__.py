"""The JSON-RPC door."""
