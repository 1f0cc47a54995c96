"""Benchmarks of stage merge."""
