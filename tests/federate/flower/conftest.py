"""Without Flower there is nothing to collect here."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("flwr") is None:
    collect_ignore_glob = ["federation.py"]
