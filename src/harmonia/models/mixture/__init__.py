"""Mixtures of experts made of dense decoders: loading, running, saving, and what their routers do.

``folder`` reads and writes them. ``parts`` and ``record`` say what is shared and how it is stored, and need no torch.
"""
