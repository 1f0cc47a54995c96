"""The client's side on Flower: a message in, the lines that every engine runs, a message out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import yaml
from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import Mod
from flwr.common.constant import ErrorCode

from harmonia.core.errors import HarmoniaError, InputError
from harmonia.core.recipe import validate
from harmonia.federate.clients import Clients
from harmonia.federate.flower.records import pack_reply, unpack_job
from harmonia.federate.flower.shelf import shelf_of
from harmonia.federate.recipe import FederateRecipe

WHO, PARTITION = "who", "partition-id"
Load = Callable[[Context, FederateRecipe, int], Clients]
"""(the node's context, how to train, the run's seed) -> the clients that this node can train, with their examples."""


def client_app(load: Load, *, mods: Sequence[Mod] = (), folder: Path | None = None) -> ClientApp:
    """Return a Flower app that trains the client whose number is its node's ``partition-id``.

    Args:
        load: brings the model and the client's examples.
        mods: Flower's modifiers of messages, around training.
        folder: where clients keep what they keep, if not in Flower's state.
    """
    app = ClientApp()

    @app.query()
    def who(message: Message, context: Context) -> Message:
        """Say which client this node is."""
        return _answer(message, lambda: RecordDict({WHO: ConfigRecord({"client": client_of(context)})}))

    @app.train(mods=list(mods))
    def train(message: Message, context: Context) -> Message:
        """Train from the model that was sent."""
        return _answer(message, lambda: _trained(message.content, context, load, folder))

    return app


def client_of(context: Context) -> int:
    """Return the number of the client that a node is.

    Raises:
        InputError: the node's settings do not say.
    """
    number = context.node_config.get(PARTITION)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise InputError(f"its node's settings say {PARTITION}={number!r}; give the client's number, from 0")
    return number


def _trained(content: RecordDict, context: Context, load: Load, folder: Path | None) -> RecordDict:
    asked, client = unpack_job(content), client_of(context)
    if asked.job.client != client:
        raise InputError(f"is client {client} and was sent the job of client {asked.job.client}")
    recipe = validate(FederateRecipe, yaml.safe_load(asked.recipe), "the job's recipe")
    clients = load(context, recipe, asked.seed)
    shelf = shelf_of(context, client, folder)
    ((reply, kept),) = clients.fit([asked.job], [shelf.get(asked.known)])
    if not asked.job.judge:
        shelf.put(asked.job.round, asked.known, kept)
    return pack_reply(reply)


def _answer(message: Message, make: Callable[[], RecordDict]) -> Message:
    """Return the reply; what is known to have gone wrong as one line, without a trace."""
    try:
        return Message(make(), reply_to=message)
    except HarmoniaError as error:
        return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, str(error)), reply_to=message)
