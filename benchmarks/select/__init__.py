"""Benchmarks of the stage ``select``."""
