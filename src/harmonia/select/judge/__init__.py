"""How good is a selection? Judges train something on it and measure held-out text of every source."""
