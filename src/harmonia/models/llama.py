"""A small Llama-style decoder, written out, with the parameter names of the Hub's own Llama.

Pre-norm blocks x + Attention(RMSNorm(x)), x + SwiGLU(RMSNorm(x)); rotary positions, grouped key-value heads, no biases.
Touvron et al. 2023 (arXiv 2302.13971); RoPE: Su et al. 2021 (arXiv 2104.09864); SwiGLU: Shazeer 2020
(arXiv 2002.05202); RMSNorm: Zhang and Sennrich 2019 (arXiv 1910.07467); GQA: Ainslie et al. 2023 (arXiv 2305.13245).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from harmonia.core.errors import InputError
from harmonia.core.files import atomic, read_json, write_json
from harmonia.core.seeds import generator


@dataclass(frozen=True)
class LlamaConfig:
    """The shape of the network.

    Attributes:
        vocab_size: number of tokens.
        width: size d of the residual stream.
        layers: number of blocks.
        heads: number of query heads; ``width`` is a multiple of it and width / heads is even.
        kv_heads: number of key-value heads; ``heads`` is a multiple of it.
        hidden: inner size of SwiGLU; None gives 8/3 of the width, rounded up to a multiple of 32.
        context: longest input in tokens.
        rope_theta: base of the rotary frequencies.
        norm_eps: added to the mean square in RMSNorm.
        tie_embeddings: the output matrix is the embedding matrix.

    Raises:
        InputError: a size does not divide another.
    """

    vocab_size: int
    width: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    hidden: int | None = None
    context: int = 256
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5
    tie_embeddings: bool = True

    def __post_init__(self) -> None:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise InputError(f"width {self.width} must be an even multiple of heads {self.heads}")
        if self.heads % self.kv_heads:
            raise InputError(f"heads {self.heads} must be a multiple of kv_heads {self.kv_heads}")

    @property
    def intermediate(self) -> int:
        """The inner size of SwiGLU."""
        return self.hidden or -(-8 * self.width // (3 * 32)) * 32

    def to_hub(self) -> dict[str, Any]:
        """Return the record that the Hub keeps in ``config.json``."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": self.vocab_size,
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.width // self.heads,
            "intermediate_size": self.intermediate,
            "max_position_embeddings": self.context,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "rope_theta": self.rope_theta,
            "rms_norm_eps": self.norm_eps,
            "tie_word_embeddings": self.tie_embeddings,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "pad_token_id": 0,
            "dtype": "float32",
            "use_cache": True,
        }

    @classmethod
    def from_hub(cls, record: dict[str, Any]) -> LlamaConfig:
        """Read the record of ``config.json``.

        Raises:
            InputError: not a plain Llama: another architecture, biases, scaled positions, or a missing size.
        """
        if record.get("model_type") != "llama":
            raise InputError(f"config.json describes a {record.get('model_type')!r} model; only 'llama' is read here")
        rope = record.get("rope_parameters") or record.get("rope_scaling") or {}
        odd = [name for name in ("attention_bias", "mlp_bias") if record.get(name)]
        odd += [f"rope_type {rope['rope_type']!r}"] if rope.get("rope_type", "default") != "default" else []
        if odd:
            raise InputError(f"config.json asks for {', '.join(odd)}; only the plain Llama is read here")
        try:
            heads = record["num_attention_heads"]
            config = cls(
                vocab_size=record["vocab_size"],
                width=record["hidden_size"],
                layers=record["num_hidden_layers"],
                heads=heads,
                kv_heads=record.get("num_key_value_heads", heads),
                hidden=record["intermediate_size"],
                context=record["max_position_embeddings"],
                rope_theta=rope.get("rope_theta", record.get("rope_theta", 10000.0)),
                norm_eps=record["rms_norm_eps"],
                tie_embeddings=record.get("tie_word_embeddings", False),
            )
        except KeyError as error:
            raise InputError(f"config.json lacks {error.args[0]!r}") from error
        if record.get("head_dim", config.width // heads) != config.width // heads:
            raise InputError(f"config.json has head_dim {record['head_dim']}, not hidden_size / num_attention_heads")
        return config


class Attention(nn.Module):
    """Causal attention with rotary positions; a group of query heads shares one key-value head."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.size = config.width // config.heads
        self.q_proj = nn.Linear(config.width, config.heads * self.size, bias=False)
        self.k_proj = nn.Linear(config.width, config.kv_heads * self.size, bias=False)
        self.v_proj = nn.Linear(config.width, config.kv_heads * self.size, bias=False)
        self.o_proj = nn.Linear(config.heads * self.size, config.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = (
            proj(x).view(batch, length, -1, self.size).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        out = functional.scaled_dot_product_attention(
            rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1]
        )
        projected: Tensor = self.o_proj(out.transpose(1, 2).reshape(batch, length, -1))
        return projected


def rotary(length: int, size: int, theta: float) -> tuple[Tensor, Tensor]:
    """Return cos and sin of position times frequency theta^(-2i/size): two (length, size) float32."""
    frequencies = theta ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
    angles = torch.outer(torch.arange(length, dtype=torch.float32), frequencies).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (x_i, x_{i + size/2}) by the angle of its position: (..., length, size)."""
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (x * cos + turned * sin).to(x.dtype)


class SwiGLU(nn.Module):
    """down(silu(gate x) * up x)."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.intermediate, bias=False)
        self.up_proj = nn.Linear(config.width, config.intermediate, bias=False)
        self.down_proj = nn.Linear(config.intermediate, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """Attention, then SwiGLU, each on the normalised stream and added to it."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.width, eps=config.norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.width, eps=config.norm_eps)
        self.mlp = SwiGLU(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Backbone(nn.Module):
    """Embedding, blocks and the last norm."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.width)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, eps=config.norm_eps)


class Llama(nn.Module):
    """Tokens (batch, length) int64 -> logits (batch, length, vocab_size).

    Weights start as N(0, 0.02^2), those that write into the residual stream divided by sqrt(2 layers), drawn from
    ``seed`` alone.

    Args:
        config: the shape.
        seed: seed of the initial weights.
    """

    def __init__(self, config: LlamaConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):  # the layers' own initialisation must not move the caller's generator
            self.model = Backbone(config)
            self.lm_head = nn.Linear(config.width, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        cos, sin = rotary(config.context, config.width // config.heads, config.rope_theta)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.cos: Tensor
        self.sin: Tensor
        self._initialise(seed)

    @torch.no_grad()
    def _initialise(self, seed: int) -> None:
        random = torch.Generator().manual_seed(int(generator(seed, "llama").integers(2**62)))
        for name, weight in self.named_parameters():
            if weight.ndim > 1:
                writes = name.endswith(("o_proj.weight", "down_proj.weight"))
                weight.normal_(0, 0.02 / (2 * self.config.layers) ** 0.5 if writes else 0.02, generator=random)

    def forward(self, tokens: Tensor) -> Tensor:
        if tokens.shape[1] > self.config.context:
            raise InputError(f"{tokens.shape[1]} tokens do not fit the context of {self.config.context}")
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        x = self.model.embed_tokens(tokens)
        for block in self.model.layers:
            x = block(x, cos, sin)
        logits: Tensor = self.lm_head(self.model.norm(x))
        return logits

    def weights(self) -> dict[str, Tensor]:
        """Return each parameter once, on the CPU: the state dict of the Hub's LlamaForCausalLM."""
        return {name: weight.detach().cpu().contiguous() for name, weight in self.named_parameters()}

    def save(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors``, which ``transformers.AutoModelForCausalLM`` reads."""
        folder = Path(folder)
        with atomic(folder / "model.safetensors") as temporary:
            save_file(self.weights(), temporary, metadata={"format": "pt"})
        write_json(folder / "config.json", self.config.to_hub())

    @classmethod
    def load(cls, folder: str | Path) -> Llama:
        """Read a model written by ``save``, or any plain Llama of the Hub in one safetensors file.

        Raises:
            InputError: a file is missing, or the weights do not fit the shape.
        """
        folder = Path(folder)
        for name in ("config.json", "model.safetensors"):
            if not (folder / name).is_file():
                raise InputError(f"{folder} holds no {name}; give the folder of a saved model")
        model = cls(LlamaConfig.from_hub(read_json(folder / "config.json")))
        try:
            weights = load_file(folder / "model.safetensors")
        except SafetensorError as error:
            raise InputError(f"{folder / 'model.safetensors'} is damaged: {error}") from error
        own = dict(model.named_parameters())
        if model.config.tie_embeddings:
            weights.pop("lm_head.weight", None)
        wrong = sorted(set(own) ^ set(weights)) or sorted(n for n in own if own[n].shape != weights[n].shape)
        if wrong:
            raise InputError(f"{folder}: weight {wrong[0]!r} does not fit config.json ({len(wrong)} such)")
        with torch.no_grad():
            for name, weight in own.items():
                weight.copy_(weights[name])
        return model
