"""The axis ``server``: what the server does with the average."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.federate.server.adagrad import Adagrad
from harmonia.federate.server.adam import Adam
from harmonia.federate.server.dyn import DynServer
from harmonia.federate.server.momentum import ServerMomentum
from harmonia.federate.server.sgd import SGD
from harmonia.federate.server.yogi import Yogi

AnyServer = one_of(SGD, ServerMomentum, Adam, Yogi, Adagrad, DynServer)

__all__ = [
    "Adagrad",
    "Adam",
    "AnyServer",
    "DynServer",
    "SGD",
    "ServerMomentum",
    "Yogi",
]
