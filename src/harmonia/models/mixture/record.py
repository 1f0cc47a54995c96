"""What config.json says of a mixture, and how its tensors are called in its files.

A tensor belongs to all experts, to one of them, to the base, or to the router. harmonia's own layout puts that before
the name it had: ``shared.``, ``experts.0.``, ``base.``, ``router.``, ``bridge.``. The stock layouts are those of
transformers' Mixtral and Qwen3-MoE, which hold what decides for every token and shares all but feed-forward layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from harmonia.core.errors import InputError
from harmonia.models.mixture.parts import SharedSet

KEY = "harmonia_mixture"
"""Where config.json has the record."""
ROUTER_FILE = "router.safetensors"
"""Holds the tensors that are found after the experts are in place."""

Layout = Literal["harmonia", "mixtral", "qwen3_moe"]
Mix = Literal["trunk", "layer", "logprob"]
"""trunk: the last hidden states of experts that ran each by itself. layer: hidden states after every layer. logprob:
the probabilities of the next token."""
Decides = Literal["token-gate", "sequence-gate", "ppl", "task-vector"]
Owner = int | Literal["shared", "base", "router", "bridge"]

_MIXTRAL = {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}
_OWN = re.compile(r"(shared|base|router|bridge|experts\.(\d+))\.(.+)")
_STOCK = {
    "mixtral": re.compile(r"(model\.layers\.\d+\.)block_sparse_moe\.(?:experts\.(\d+)\.(w[123])|(gate))\.weight"),
    "qwen3_moe": re.compile(r"(model\.layers\.\d+\.)mlp\.(?:experts\.(\d+)\.(\w+_proj)|(gate))\.weight"),
}


@dataclass(frozen=True)
class MixtureRecord:
    """What a mixture is, beside its weights.

    Attributes:
        experts: what each is called.
        shared: which tensors there is one of.
        decides: what chooses experts.
        top_k: K, how many work.
        mix: where the outputs of experts that run by themselves meet.
        settings: of the router: score, temperature, ...
        configs: config.json of an expert, or one for each where they differ.
        layout: how tensors are called.
        anchor: whose weights task vectors begin at: an expert's number, "base", or None where nobody asks.
        bridged: whether experts of several widths are joined by projectors.
        made_with: parts, weights of the experts and seed that made it.
    """

    experts: tuple[str, ...]
    shared: SharedSet
    decides: Decides
    top_k: int
    configs: tuple[dict[str, Any], ...]
    mix: Mix = "trunk"
    settings: dict[str, Any] = field(default_factory=dict)
    layout: Layout = "harmonia"
    anchor: int | Literal["base"] | None = None
    bridged: bool = False
    made_with: dict[str, Any] = field(default_factory=dict)

    def config_of(self, expert: int) -> dict[str, Any]:
        """Return config.json of an expert."""
        return self.configs[expert if len(self.configs) > 1 else 0]

    def json(self) -> dict[str, Any]:
        """Return it for config.json."""
        return {"version": 1, **asdict(self)}

    @classmethod
    def read(cls, config: Mapping[str, Any], where: object) -> MixtureRecord:
        """Return the record in a config.json.

        Raises:
            InputError: there is none, or one of another version.
        """
        record = config.get(KEY)
        if not isinstance(record, dict):
            raise InputError(f"{where} is not a mixture of harmonia: its config.json has no {KEY}")
        record = dict(record)
        if record.pop("version", None) != 1:
            raise InputError(f"{where} is a mixture of another version of harmonia: make it anew")
        try:
            found = cls(**{**record, "experts": tuple(record["experts"]), "configs": tuple(record["configs"])})
        except (KeyError, TypeError) as error:
            raise InputError(f"{where}: the record {KEY} in its config.json is damaged ({error})") from error
        return found


def stored_name(owner: Owner, name: str, layout: Layout) -> str:
    """Return what a tensor is called in the file.

    Args:
        owner: whose it is.
        name: what the dense model calls it; of a router, ``layers.0`` or ``weight``.
        layout: of the file.

    >>> stored_name(2, "model.layers.0.mlp.up_proj.weight", "mixtral")
    'model.layers.0.block_sparse_moe.experts.2.w3.weight'
    """
    if layout == "harmonia":
        return f"experts.{owner}.{name}" if isinstance(owner, int) else f"{owner}.{name}"
    block = "block_sparse_moe" if layout == "mixtral" else "mlp"
    if owner == "router":
        return f"model.{name}.{block}.gate.weight"
    if isinstance(owner, int):
        before, _, after = name.partition("mlp.")
        place = after.removesuffix(".weight")
        return f"{before}{block}.experts.{owner}.{_MIXTRAL[place] if layout == 'mixtral' else place}.weight"
    return name


def owner_of(stored: str, layout: Layout) -> tuple[Owner, str]:
    """Return whose a tensor of a file is, and its name there; the inverse of ``stored_name``.

    >>> owner_of("model.layers.0.mlp.gate.weight", "qwen3_moe")
    ('router', 'layers.0')
    """
    if layout == "harmonia":
        found = _OWN.fullmatch(stored)
        if found is None:
            raise InputError(f"tensor {stored} is none of a mixture of harmonia")
        return (int(found[2]) if found[2] else found[1]), found[3]  # type: ignore[return-value]
    found = _STOCK[layout].fullmatch(stored)
    if found is None:
        return "shared", stored
    if found[4]:
        return "router", found[1].removeprefix("model.").removesuffix(".")
    plain = {there: here for here, there in _MIXTRAL.items()}.get(found[3], found[3])
    return int(found[2]), f"{found[1]}mlp.{plain}.weight"
