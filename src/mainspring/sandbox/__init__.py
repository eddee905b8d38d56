"""Where scripts run: a process of its own for each run, and what it may ask of the server."""
