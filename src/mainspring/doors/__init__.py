"""The doors: each translates one API and nothing else; none knows another."""
