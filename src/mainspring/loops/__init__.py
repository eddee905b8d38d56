"""What happens without being asked: each loop is one `step(now)`."""
