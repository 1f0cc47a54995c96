"""A trained model: ``classifier = load(RUN); classifier.predict(inputs)``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.core.arrays import read_arrays, write_arrays
from harmonia.core.errors import InputError
from harmonia.core.files import read_json, write_json
from harmonia.core.recipe import validate

if TYPE_CHECKING:
    from harmonia.federate.recipe import FederateRecipe
    from harmonia.models.classifiers import Architecture

BATCH = 1024


class Classifier:
    """The global model of a run, or a client's own.

    Args:
        recipe: says the head.
        network: the backbone.
        shape: of one example.
        classes: their names.
        vector: (P,) all weights.
        seed: of the run; heads of fixed directions are drawn from it.
        counts: (C,) examples per class of the client whose own model it is; None for the global model.
    """

    def __init__(
        self,
        recipe: FederateRecipe,
        network: Architecture,
        shape: tuple[int, ...],
        classes: tuple[str, ...],
        vector: np.ndarray,
        seed: int,
        counts: np.ndarray | None = None,
    ) -> None:
        import torch

        from harmonia.federate.model import ClientModel

        self.recipe, self.network, self.shape, self.classes = recipe, network, shape, classes
        self.vector, self.seed, self.counts = vector, seed, counts
        self._model = ClientModel(network.build(shape), recipe.head, len(classes), network.features, seed)
        self._model.network.module.eval()
        self._weights = torch.from_numpy(vector)[None]

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """Return the logits of examples: (n, *shape) -> (n, C) float32.

        Raises:
            InputError: examples of another shape.
        """
        import torch

        if tuple(inputs.shape[1:]) != self.shape:
            raise InputError(f"an example has shape {tuple(inputs.shape[1:])}; the model reads {self.shape}")
        counts = None if self.counts is None else torch.from_numpy(self.counts).float()[None]
        mode: Any = "global" if counts is None else "local"
        found = []
        with torch.no_grad():
            for start in range(0, len(inputs), BATCH):
                x = torch.from_numpy(np.ascontiguousarray(inputs[start : start + BATCH]))[None]
                features = self._model.features(self._weights, x)
                found.append(self._model.logits(self._weights, features, counts, mode)[0].numpy())
        return np.concatenate(found) if found else np.zeros((0, len(self.classes)), np.float32)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the number of the likeliest class of each example: (n,) int64."""
        found: np.ndarray = self.logits(inputs).argmax(axis=1)
        return found

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors into a folder."""
        write_arrays(folder / "model.safetensors", {"weights": self.vector})
        write_json(
            folder / "config.json",
            {
                "format": "harmonia-classifier",
                "version": 1,
                "recipe": self.recipe.model_dump(mode="json"),
                "network": self.network.model_dump(mode="json"),
                "shape": list(self.shape),
                "classes": list(self.classes),
                "seed": self.seed,
            },
        )


def load(folder: str | Path, client: int | None = None) -> Classifier:
    """Read a model from its folder, or from the folder of the run that made it.

    Args:
        folder: of the run, or of the model.
        client: read the model of this client, with its own head or its own classes; None for the global one.

    Raises:
        InputError: there is no model in the folder, it is of a newer version, or it is the same for every client.
        RunError: its file is damaged.
    """
    from harmonia.federate.engine import architecture_of
    from harmonia.federate.recipe import FederateRecipe

    path = Path(folder)
    path = path / "result" / "model" if (path / "result" / "model").is_dir() else path
    if not (path / "config.json").exists():
        raise InputError(f"{folder} holds no model (no config.json); name a finished run of harmonia federate")
    config = read_json(path / "config.json")
    if config.get("format") != "harmonia-classifier" or config.get("version") != 1:
        raise InputError(f"{path / 'config.json'} is not a model that this version of harmonia can read")
    vector, counts = read_arrays(path / "model.safetensors")["weights"], None
    if client is not None:
        own = _own(path, client)
        counts = own["counts"]
        if "heads" in own:
            vector = np.concatenate([vector[: len(vector) - len(own["heads"])], own["heads"]])
    return Classifier(
        validate(FederateRecipe, config["recipe"], str(path / "config.json")),
        architecture_of(config["network"]),
        tuple(config["shape"]),
        tuple(config["classes"]),
        vector,
        config["seed"],
        counts,
    )


def _own(path: Path, client: int) -> dict[str, np.ndarray]:
    """Return what makes a client's model its own."""
    place = path / "clients.safetensors"
    if not place.exists():
        raise InputError(f"{path}: the model is the same for every client; leave out client={client}")
    every = read_arrays(place)
    if not 0 <= client < len(every["counts"]):
        raise InputError(f"client {client}: {path} has clients 0 to {len(every['counts']) - 1}")
    return {name: values[client] for name, values in every.items()}
