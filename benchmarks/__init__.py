"""Measurements: speed against peers and definitions, cost as a function of size, and what the methods achieve."""
