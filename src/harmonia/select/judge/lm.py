"""The honest judge: train a small language model from scratch on each selection, same steps, same tokens, same shape.

A selection smaller than the training is repeated; the tokenizer is learned once from the pool. What is measured are
bits per byte of held-out text, source by source, so that a gain on one source cannot hide a loss on another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError, MissingExtraError
from harmonia.core.seeds import generator, stable_hash, uniforms
from harmonia.select.judge.base import Exam, Judge, summary

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class LanguageModel(Judge):
    """Trains a Llama-style model on the selection and reports bits per byte of each source.

    With the defaults (1.3 million weights, 0.8 million tokens) one selection takes about 65 seconds on two idle CPU
    cores, and scoring held-out text one second per 40,000 tokens; on a GPU raise ``width``, ``layers``, ``context``,
    ``batch`` and ``steps`` together. On a CPU the same machine repeats its results exactly, whatever the number of
    threads; on CUDA they repeat up to rounding.

    With ``save`` the model lands in ``models/<name>-seed<seed>`` of the exam's folder in the Hub's layout, ready for
    ``transformers`` and, with ``pip install 'harmonia[eval]'``, for the usual benchmarks:
    ``lm_eval --model hf --model_args pretrained=FOLDER --tasks lambada_openai,piqa --device cpu``.
    """

    kind: Literal["lm"] = "lm"
    references: ClassVar[tuple[str, ...]] = ("touvron2023llama", "loshchilov2019adamw")

    vocab_size: int = Field(default=4096, ge=257)
    """Tokens of the byte-level BPE vocabulary."""
    width: int = Field(default=128, ge=8)
    """Size of the residual stream."""
    layers: int = Field(default=4, ge=1)
    """Number of transformer blocks."""
    heads: int = Field(default=4, ge=1)
    """Query heads; ``width / heads`` must be even."""
    kv_heads: int = Field(default=2, ge=1)
    """Key-value heads, a divisor of ``heads``."""
    context: int = Field(default=256, ge=8)
    """Tokens per training window."""
    batch: int = Field(default=8, ge=1)
    """Windows per step."""
    steps: int = Field(default=400, ge=1)
    """Updates; the model sees ``steps * batch * context`` tokens whatever the selection."""
    warmup: int = Field(default=40, ge=0)
    """Updates of linear warm-up; a cosine to a tenth of the peak follows."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Peak learning rate of AdamW."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Decay of AdamW, on matrices only."""
    device: str = "auto"
    """``auto`` takes CUDA (in bfloat16) where there is one, else the CPU (in float32)."""
    save: bool = False
    """Keep the trained model in the Hub's layout."""

    def judge(self, name: str, texts: Sequence[str], exam: Exam) -> dict[str, float]:
        try:
            from harmonia.models.llama import Llama, LlamaConfig
            from harmonia.models.tokenizer import pack, save_tokenizer
            from harmonia.models.train_lm import Checkpoints, Schedule, Windows, bits_per_byte, train
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "torch", "lm") from error
        if not any(texts):
            raise InputError(f"{name}: the selection holds no text to train on")
        tokenizer = self._tokenizer(exam)
        shape = LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            kv_heads=self.kv_heads,
            context=self.context,
        )
        # a selection is a set: its order here is drawn from the texts themselves
        order = np.argsort(uniforms(stable_hash(texts), exam.seed, "documents"), kind="stable")
        stream = pack(tokenizer, (texts[i] for i in order))
        windows = Windows(stream, self.context, exam.seed)
        model = Llama(shape, int(generator(exam.seed, "judge").integers(2**31)))
        label = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}-seed{exam.seed}"
        checkpoints = Checkpoints(
            exam.folder / f"{label}.safetensors",
            identity={
                "stream": blake2b(stream.tobytes(), digest_size=16).hexdigest(),
                "shape": asdict(shape),
                "batch": self.batch,
                "seed": exam.seed,
            },
        )
        schedule = Schedule(self.steps, self.learning_rate, self.warmup, weight_decay=self.weight_decay)
        curve = train(
            model,
            lambda step: windows.take(step * self.batch, self.batch),
            schedule,
            checkpoints=checkpoints,
            device=self.device,
            description=f"judging {name}",
        )
        bits = {source: bits_per_byte(model, tokenizer, held) for source, held in exam.held_out.items()}
        if self.save:
            folder = exam.folder / "models" / label
            model.save(folder)
            save_tokenizer(tokenizer, folder, self.context)
        checkpoints.path.unlink(missing_ok=True)
        seen = self.steps * self.batch * self.context
        return {
            **summary(bits),
            "epochs": seen / len(stream),
            "train_tokens": float(seen),
            "selected_tokens": float(len(stream)),
            "train_loss": float(np.mean(curve[-max(1, self.steps // 10) :])),
        }

    def _tokenizer(self, exam: Exam) -> Tokenizer:
        from harmonia.models.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer

        corpus = blake2b(np.sort(stable_hash(exam.vocabulary)).tobytes(), digest_size=8).hexdigest()
        folder = Path(exam.folder) / f"tokenizer-{self.vocab_size}-{corpus}"
        if not (folder / "tokenizer.json").is_file():
            save_tokenizer(train_tokenizer(exam.vocabulary, self.vocab_size), folder)
        return load_tokenizer(folder)
