"""Benchmarks of the stage ``federate``."""
