"""What the service is: data, rules and use cases; knows no clock, dice, socket, database or framework."""
