"""The plan of a recipe: what is kept, sent and computed; conflicts are refused, or resolved, before any training.

The rules are those between parts that were not made for each other; each names both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harmonia.core.errors import InputError
from harmonia.federate.drift import Dyn
from harmonia.federate.head import Local
from harmonia.federate.needs import Item, Needs, Sizes
from harmonia.federate.perturb import LESAM
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.server import DynServer
from harmonia.federate.weight import Uniform

Where = Literal["kept", "down", "up", "server"]
BYTES = 4
"""Of a number on its way: weights travel as float32."""


@dataclass(frozen=True)
class Plan:
    """What a recipe needs of a round.

    Attributes:
        recipe: after conflicts were resolved.
        sizes: of the model.
        needs: the union over its parts.
        notes: what was resolved, one line each.
    """

    recipe: FederateRecipe
    sizes: Sizes
    needs: Needs
    notes: tuple[str, ...]

    @classmethod
    def of(cls, recipe: FederateRecipe, sizes: Sizes) -> Plan:
        """Make the plan of a recipe.

        Raises:
            InputError: two of its parts do not go together; the message names both and says what does.
        """
        recipe, notes = resolved(recipe)
        for message in conflicts(recipe):
            raise InputError(message)
        total = Needs()
        for part in (recipe.head, recipe.loss, recipe.perturb, recipe.drift, recipe.server):
            total += part.needs
        return cls(recipe, sizes, total, tuple(notes))

    def names(self, where: Where) -> list[str]:
        """Return the names of what is kept or sent."""
        return [item.name for item in self.items(where)]

    def items(self, where: Where) -> tuple[Item, ...]:
        """Return what is kept or sent beside the model."""
        found: tuple[Item, ...] = getattr(self.needs, where)
        return found

    def size(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array by its name.

        Raises:
            KeyError: nothing of this name is in the plan.
        """
        for where in ("kept", "down", "up", "server"):
            for item in getattr(self.needs, where):
                if item.name == name:
                    return self.sizes.shape(item.size)
        raise KeyError(name)

    def bytes_of(self, where: Where) -> int:
        """Return the bytes of a client's message, the model included where it travels, or of what is kept."""
        model = self.sizes.of["P"] if where in ("down", "up") else 0
        return BYTES * (model + sum(self.sizes.of[item.size] for item in self.items(where)))

    def table(self) -> list[dict[str, object]]:
        """Return one row per array: where it is, its name, its numbers and bytes, and why."""
        rows: list[dict[str, object]] = []
        for where in ("down", "up"):
            numbers = self.sizes.of["P"]
            rows.append(_row(where, "model", numbers, "the shared weights"))
        if self.sizes.of["H"]:
            rows.append(_row("kept", "head", self.sizes.of["H"], "its private head"))
        for where in ("kept", "down", "up", "server"):
            rows += [_row(where, item.name, self.sizes.of[item.size], item.why) for item in getattr(self.needs, where)]
        return rows


def _row(where: str, name: str, numbers: int, why: str) -> dict[str, object]:
    return {"where": where, "name": name, "numbers": numbers, "bytes": BYTES * numbers, "why": why}


def resolved(recipe: FederateRecipe) -> tuple[FederateRecipe, list[str]]:
    """Return the recipe with the choices that one of its parts forces on another, and what they were."""
    notes: list[str] = []
    drift, server, perturb = recipe.drift, recipe.server, recipe.perturb
    if isinstance(drift, Dyn) and server.kind_name() == "sgd":
        forced = {"server": DynServer(alpha=drift.alpha), "weight": Uniform()}
        recipe = recipe.model_copy(update=forced)
        notes.append("drift=dyn needs its own server step: server=dyn and weight=uniform were taken")
    if isinstance(perturb, LESAM) and recipe.schedule.relays and perturb.memory == "client":
        recipe = recipe.model_copy(update={"perturb": perturb.model_copy(update={"memory": "server"})})
        notes.append(
            "a relayed model is no average, so perturb=lesam takes its direction from the last two averages: "
            "perturb.memory=server was taken"
        )
    weight, momentum = recipe.weight, recipe.training.momentum
    if weight.kind_name() == "nova" and weight.momentum != momentum:
        recipe = recipe.with_settings([f"weight.momentum={momentum}"])
        notes.append(f"weight=nova counts how far steps with momentum go: weight.momentum={momentum} was taken")
    return recipe, notes


def conflicts(recipe: FederateRecipe) -> Iterator[str]:
    """Yield one line for every two parts that do not go together."""
    head, loss, drift, schedule, server = recipe.head, recipe.loss, recipe.drift, recipe.schedule, recipe.server
    kinds = {axis: part.kind_name() for axis, part in recipe.choices().items()}
    if schedule.relays:
        told = f"schedule={kinds['schedule']} relays one client's model to another"
        if kinds["drift"] in ("scaffold", "dyn", "momentum"):
            yield f"{told}, but what drift={kinds['drift']} keeps belongs to the client: --set drift=none or prox"
        if kinds["perturb"] == "smoo":
            yield f"{told}, but the dual of perturb=smoo belongs to the client: --set perturb=sam or lesam"
        if kinds["loss"] == "moon":
            yield f"{told}, but loss=moon compares with the client's own previous model: --set loss=ce"
        if kinds["weight"] == "nova":
            yield f"{told}, and weight=nova counts the steps of one client only: --set weight=examples"
        if kinds["server"] == "dyn":
            yield f"{told}, but server=dyn counts on every client having begun at the same model: --set server=sgd"
        if head.private:
            yield f"{told}, and head={kinds['head']} stays behind with its client: --set schedule=every"
    if kinds["perturb"] == "smoo" and kinds["drift"] not in ("none", "dyn"):
        yield f"perturb=smoo was made for drift=dyn and does not go with drift={kinds['drift']}: --set drift=dyn"
    if kinds["drift"] == "scaffold":
        if kinds["weight"] == "nova":
            yield "drift=scaffold and weight=nova both rescale by the number of steps: --set weight=uniform"
        if recipe.training.momentum:
            yield (
                f"drift=scaffold reads its correction off plain gradient steps, and training.momentum="
                f"{recipe.training.momentum} changes them: --set training.momentum=0"
            )
    if isinstance(head, Local) and head.order == "alternate":
        counting = next((f"drift={k}" for k in ("scaffold", "momentum") if kinds["drift"] == k), None)
        counting = counting or ("weight=nova" if kinds["weight"] == "nova" else None)
        if counting:
            yield (
                f"head.order=alternate trains the shared weights in some of the steps only, and {counting} counts all: "
                "--set head.order=joint"
            )
    if kinds["drift"] == "dyn" and kinds["server"] != "dyn":
        yield f"drift=dyn needs server=dyn, not server={kinds['server']}: --set server=dyn"
    if kinds["server"] == "dyn" and kinds["drift"] != "dyn":
        yield f"server=dyn corrects for drift=dyn, and drift is {kinds['drift']}: --set drift=dyn or server=sgd"
    if kinds["server"] == "dyn" and kinds["weight"] != "uniform":
        yield f"server=dyn averages alike, and weight={kinds['weight']} does not: --set weight=uniform"
    if isinstance(server, DynServer) and isinstance(drift, Dyn) and server.alpha != drift.alpha:
        yield f"drift.alpha={drift.alpha} and server.alpha={server.alpha} must be the same"
    if loss.anchors_from_head and kinds["head"] not in ("etf", "gela"):
        yield (
            f"loss.anchors=head takes the class vectors of a given head, and head={kinds['head']} has none: "
            "--set head=etf"
        )
