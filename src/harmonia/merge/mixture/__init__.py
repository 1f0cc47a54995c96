"""Mixtures of experts out of dense experts: what is shared is merged, the rest is copied byte for byte."""
