"""The agent: runs jobs on this machine for one or several servers. It shares only the wire with them."""
