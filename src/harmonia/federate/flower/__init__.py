"""The same recipes on Flower: in its simulation, and across machines.

    from harmonia.federate.flower.client_app import client_app
    from harmonia.federate.flower.server_app import server_app

Flower reports to its makers and looks for updates unless told otherwise; here it does neither, unless the environment
asks for it (``FLWR_TELEMETRY_ENABLED=1``, ``FLWR_DISABLE_UPDATE_CHECK=0``).
"""

from __future__ import annotations

import os

from harmonia.core.errors import require

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

require("flwr", "flower")
