"""What the tangent features share: a language model warmed up on the target, and the parameters to differentiate.

Such features serve in two ways. As vectors, for votes and diversity, a document is its mean hidden state after the
warm-up (or its projected gradient). As a score, ``alignment`` compares gradients with those of the targets without
ever making them; the objective mean-alignment uses it (Wang et al. 2025, arXiv 2511.07380).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.core.part import Part
from harmonia.core.progress import note
from harmonia.select.examples import Paths, examples
from harmonia.select.features.base import Features, Scores

if TYPE_CHECKING:
    from harmonia.models.tangent_lm import Alignment, Example, TangentLM


class Warmup(Part):
    """A short LoRA training on the target before gradients are taken."""

    epochs: Annotated[int, Field(ge=1)] = 3
    """Passes over the target."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Of AdamW, constant."""
    batch: Annotated[int, Field(ge=1)] = 8
    """Texts per step."""


class Tangent(Features):
    """Gradients of a causal language model as features."""

    model: str | None = None
    """Causal language model: folder in the Hub's layout, .gguf file, Hub id, or ``smollm2`` from the catalogue."""
    target: Paths = ()
    """Files of target texts for the warm-up; objectives take them too, unless they name their own."""
    target_texts: tuple[str, ...] = ()
    """Target texts given directly."""
    score_at: Literal["warmup", "base"] = "warmup"
    """Where gradients and hidden states are taken: after the warm-up, or at the model as it is."""
    warmup: Warmup = Warmup()
    """Settings of the warm-up."""
    parameters: str = "lora"
    """What is differentiated: ``lora`` (adapters on all linear layers), ``head``, or a regular expression that is
    searched in the names of the model's parameters."""
    rank: Annotated[int, Field(ge=1)] = 8
    """Rank of the adapters."""
    positions: Literal["response", "all", "last"] = "response"
    """Which tokens count: those after ``separator``, all, or the last."""
    separator: str | None = None
    """Text that ends a prompt and starts the response; without it the whole text is the response."""
    cosine: bool = False
    """Compare gradients of unit length on both sides; takes a backward pass per document."""
    target_mean: Literal["mean", "unit"] = "mean"
    """``unit``: scale each target's gradient to length one before the mean, so that no outlier dominates."""
    scorer: Literal["auto", "difference", "forward", "reverse"] = "auto"
    """How scores are computed: two forward passes, one Jacobian-vector pass, or a backward pass per document;
    ``auto`` takes the first that agrees with reverse mode on eight targets."""
    vectors: Literal["hidden", "gradient"] = "hidden"
    """What stands for a document where vectors are wanted: its mean hidden state, or its gradient, projected by random
    signs to ``dimension`` and scaled to unit length (a backward pass per document)."""
    dimension: Annotated[int, Field(ge=1)] = 1024
    """p, length of projected gradients."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Texts are cut here; by default at the longest input of the model, at most 4096."""
    batch_tokens: Annotated[int, Field(ge=1)] = 4096
    """Most tokens in one forward pass, padding included."""
    device: str = "auto"
    """``auto`` (a GPU when there is one), ``cpu``, ``cuda``, ..."""
    dtype: Literal["float32", "float64"] = "float32"
    """Type of the model's arithmetic; sums over parameters are float64."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of adapters, order of the warm-up, probes and projection."""

    @abstractmethod
    def readout(self, model: Any) -> tuple[Any, int]:
        """Return F as a module over ``model``, and the number R of values that it gives."""

    def encoder(self, sample: Sequence[str]) -> TangentEncoder:
        return TangentEncoder(self)


class TangentEncoder:
    """Texts to vectors, and to scores along the mean gradient of targets; loads and warms up at its first use."""

    def __init__(self, settings: Tangent) -> None:
        kind = settings.kind_name()
        if settings.model is None:
            raise InputError(f"features {kind}: name a model with --set features.model=FOLDER")
        given = bool(settings.target or settings.target_texts)
        if settings.score_at == "warmup" and not given:
            raise InputError(
                f"features {kind} warm up on target texts: name their file with "
                "--set features.target=FILE, or set features.score_at=base"
            )
        self.settings = settings
        self.targets = tuple(examples(settings.target, settings.target_texts, "features.target")) if given else ()
        self._name = settings.model

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of the model."""
        from harmonia.models.pretrained import load_tokenizer

        return load_tokenizer(self._name)

    @cached_property
    def _model(self) -> Any:
        model = self._loaded
        if self.settings.score_at == "warmup":
            self._warm_up(model)
        return model

    @cached_property
    def _longest(self) -> int:
        from harmonia.models.pretrained import longest_input

        return longest_input(self.tokenizer, self._loaded, self.settings.max_tokens)

    @cached_property
    def _loaded(self) -> Any:
        from harmonia.models.lora import add_lora
        from harmonia.models.pretrained import load_model

        # fused attention has no forward mode
        model = load_model(
            self._name, causal=True, device=self.settings.device, dtype=self.settings.dtype, attn_implementation="eager"
        )
        if model.get_output_embeddings() is None:
            raise InputError(f"model {self._name} has no language-model head, so it has no outputs to differentiate")
        if self.settings.score_at == "warmup" or self.settings.parameters == "lora":
            add_lora(model, self.settings.rank, self.settings.seed)
        return model

    def _warm_up(self, model: Any) -> None:
        from harmonia.models.lora import lora_names, train
        from harmonia.models.tangent_lm import NextTokenLoss, TangentLM

        names, setting = lora_names(model), self.settings.warmup
        targets = self.examples(self.targets)
        loss = NextTokenLoss(model)
        cut = TangentLM(loss, 1, names, self.settings.batch_tokens)
        train(
            model,
            names,
            lambda rows: loss(cut.batch(targets, rows)).mean(),
            len(targets),
            epochs=setting.epochs,
            learning_rate=setting.learning_rate,
            batch=setting.batch,
            seed=self.settings.seed,
        )

    def examples(self, texts: Sequence[str]) -> list[Example]:
        """Tokenise texts and find the positions that count."""
        from harmonia.models.tangent_lm import examples_of

        return examples_of(texts, self.tokenizer, self.settings.positions, self.settings.separator, self._longest)

    @cached_property
    def tangent(self) -> TangentLM:
        """The model with the parameters that are differentiated."""
        from harmonia.models.lora import lora_names, merge_lora
        from harmonia.models.tangent_lm import TangentLM

        model, wanted = self._model, self.settings.parameters
        if wanted == "lora":
            names = lora_names(model)
        else:
            merge_lora(model)
            names = [name for name, _ in model.named_parameters()]
            if wanted == "head":
                head = model.get_output_embeddings().weight
                names = [name for name, value in model.named_parameters() if value is head]
                if model.get_input_embeddings().weight is head:
                    note("the head shares its weights with the input embedding; the gradient counts both uses")
            else:
                try:
                    names = [name for name in names if re.search(wanted, name)]
                except re.error as error:
                    raise InputError(f"features.parameters={wanted!r} is not a regular expression: {error}") from error
        module, functions = self.settings.readout(model)
        return TangentLM(module.to(model.device), functions, names, self.settings.batch_tokens)

    def alignment(self, targets: Sequence[str]) -> Scores:
        from harmonia.models.tangent_lm import Alignment

        score: Alignment = Alignment(
            self.tangent,
            self.examples(targets),
            scorer=self.settings.scorer,
            unit_targets=self.settings.target_mean == "unit",
            cosine=self.settings.cosine,
        )
        return lambda texts: score(self.examples(texts))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        from harmonia.models.pretrained import mean_hidden_states

        if self.settings.vectors == "gradient":
            return self.tangent.projected(self.examples(texts), self.settings.dimension, self.settings.seed).astype(
                np.float32
            )
        width = self._model.config.hidden_size
        if not len(texts):
            return np.zeros((0, width), np.float32)
        tokens = self.tokenizer(list(texts), truncation=True, max_length=self._longest)["input_ids"]
        return mean_hidden_states(self._model.base_model, tokens, width, self.settings.batch_tokens)
