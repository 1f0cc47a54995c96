"""Benchmarks of stage compress."""
