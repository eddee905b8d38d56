"""Where state lives: every store method once, SQL in plain sight, one driver file per database."""
