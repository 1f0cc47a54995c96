"""What a Flower run of a project is asked: the settings of its ``[tool.flwr.app.config]``, read by server and nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harmonia.core.errors import InputError
from harmonia.core.recipe import explain_validation, validate
from harmonia.federate.recipe import FederateRecipe

if TYPE_CHECKING:
    from flwr.app import Context

    from harmonia.data.labelled import Labelled
    from harmonia.federate.clients import Clients
    from harmonia.federate.model import ClientModel
    from harmonia.models.classifiers import Architecture


class Setup(BaseModel):
    """Settings of a run, flat, because Flower's are: what has a structure is JSON or YAML text."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        populate_by_name=True,
        alias_generator=lambda name: name.replace("_", "-"),
    )

    out: str
    """Folder of the run, on the server's machine."""
    recipe: str
    """How to train, as YAML."""
    network: str
    """The backbone, as JSON."""
    shape: str
    """Of one example, as JSON."""
    classes: str
    """Their names, as JSON."""
    data: str
    """Name or place of the examples, from which each node takes its client's; a node may name its own instead."""
    label: str = ""
    """Column of the labels, where the data have columns."""
    partition: str = "iid"
    """How the examples are dealt."""
    clients: Annotated[int, Field(ge=1)] = 10
    """How many there are: nodes with partition-id 0 to clients - 1."""
    active: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of them that takes part in a round."""
    rounds: Annotated[int, Field(ge=1)] = 50
    """R."""
    seed: int = 0
    """Of the deal, the first weights, the choice of clients and their batches."""
    on_failure: Literal["abort", "drop", "retry"] = "abort"
    """When a client does not answer or sends what cannot be used: abort the run, drop the client for the round, or
    retry it once and then drop it."""
    timeout: Annotated[float, Field(gt=0)] = 600.0
    """Seconds in which the answers of a round must come."""
    wait: Annotated[float, Field(gt=0)] = 300.0
    """Seconds in which all nodes must have come at the start."""

    @classmethod
    def of(cls, recipe: FederateRecipe, network: Architecture, examples: Labelled, **others: Any) -> Self:
        """Return the settings of a run on these examples; a path to them is made one from the root.

        Raises:
            InputError: they do not fit; the message names the field.
        """
        place = Path(str(others.get("data", examples.name)))
        others["data"] = str(place.absolute() if place.exists() else place)
        record = {
            "recipe": recipe.to_yaml(),
            "network": json.dumps(network.model_dump(mode="json")),
            "shape": json.dumps(list(examples.train.inputs.shape[1:])),
            "classes": json.dumps(list(examples.classes)),
            **others,
        }
        try:
            return cls.model_validate(record)
        except ValidationError as error:
            raise InputError(f"deployment: {explain_validation(error, cls, record)}") from error

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Self:
        """Return the settings that Flower hands to an app.

        Raises:
            InputError: they do not fit; the message names the field.
        """
        record = dict(config)
        for name in ("active", "timeout", "wait"):  # 1 is written where 1.0 is meant
            if isinstance(record.get(name), int):
                record[name] = float(record[name])
        try:
            return cls.model_validate(record)
        except ValidationError as error:
            raise InputError(f"run config: {explain_validation(error, cls, record)}") from error

    def config(self) -> dict[str, str | int | float]:
        """Return the settings as Flower takes them."""
        found: dict[str, str | int | float] = self.model_dump(by_alias=True)
        return found

    # -- what the texts say -------------------------------------------------------------------------------------

    def chosen(self) -> FederateRecipe:
        """Return the recipe."""
        return validate(FederateRecipe, yaml.safe_load(self.recipe), "run config: recipe")

    def backbone(self) -> Architecture:
        """Return the network."""
        from harmonia.federate.engine import architecture_of

        return architecture_of(json.loads(self.network), "run config: network")

    def example_shape(self) -> tuple[int, ...]:
        """Return the shape of one example."""
        return tuple(json.loads(self.shape))

    def class_names(self) -> tuple[str, ...]:
        """Return the names of the classes."""
        return tuple(json.loads(self.classes))

    def active_clients(self) -> int:
        """Return how many clients take part in a round."""
        return max(1, round(self.active * self.clients))

    # -- what is made of them -------------------------------------------------------------------------------------

    def model(self, recipe: FederateRecipe) -> ClientModel:
        """Return the model with its first weights, which are the same everywhere."""
        from harmonia.federate.model import first_model

        return first_model(self.backbone(), recipe.head, self.example_shape(), len(self.class_names()), self.seed)

    def examples(self, client: int, node: Mapping[str, Any]) -> Labelled:
        """Return a client's examples: those that its node's settings name, else its part of the run's.

        Raises:
            InputError: they have other classes or another shape than the run's.
        """
        import numpy as np

        from harmonia.federate.engine import examples_of

        own = node.get("data")
        found = examples_of(str(own or self.data), str(node.get("label") or self.label) or None)
        if found.classes != self.class_names():
            raise InputError(f"{found.name} has the classes {', '.join(found.classes)}; the run has {self.classes}")
        if found.train.inputs.shape[1:] != self.example_shape():
            raise InputError(f"an example of {found.name} has shape {found.train.inputs.shape[1:]}, not {self.shape}")
        if own:
            return found
        from harmonia.data.partitions import parse_partition
        from harmonia.federate.population import Population

        dealt = Population.of(found, parse_partition(self.partition), self.clients, self.seed)
        return dealt.data.subset(dealt.train[client], np.arange(0))


def load(context: Context, recipe: FederateRecipe, seed: int) -> Clients:
    """Bring the model and the examples of the client that a node is, as the run's settings say."""
    import numpy as np
    import torch

    from harmonia.federate.clients import Clients
    from harmonia.federate.flower.client_app import client_of
    from harmonia.federate.planner import Plan

    setup, client = Setup.read(context.run_config), client_of(context)
    model = setup.model(recipe)
    mine = setup.examples(client, context.node_config).train
    if not len(mine):
        raise InputError("has no examples")
    return Clients(
        model,
        recipe,
        Plan.of(recipe, model.sizes),
        torch.from_numpy(np.ascontiguousarray(mine.inputs)),
        torch.from_numpy(mine.labels),
        {client: np.arange(len(mine))},
        seed,
    )


def folder_of(setup: Setup) -> Path:
    """Return the folder of the run.

    Raises:
        InputError: it is not an absolute path; the server runs where Flower puts it.
    """
    folder = Path(setup.out)
    if not folder.is_absolute():
        raise InputError(f"run config: out is {setup.out}; give a path from the root, the server runs elsewhere")
    return folder
