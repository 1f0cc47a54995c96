"""Mixtures of three small experts against dense merges: held-out bits per byte of every domain.

A byte-level Llama is trained on a mixture of three domains: Python source of the standard library, English prose
(documentation strings of the same library and licence texts), and arithmetic. Three experts go on with one domain each.
Everything is judged on texts that nobody trained on: the first bytes of a text are the prompt, from which routers
choose, and the bits per byte are of what follows. Seeds draw the weights and the order of texts.

    python -m benchmarks.merge.mixture --seeds 3 --out results
    python -m benchmarks.merge.mixture --seeds 3 --expert-rate 0.0002 --out results
    python -m benchmarks.merge.mixture --seeds 1 --steps 30 --width 32 --out results
"""

from __future__ import annotations

import ast
import math
import shutil
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.record import Record, options, single_threaded
from harmonia.core.progress import set_quiet
from harmonia.core.seeds import generator
from harmonia.data.checkpoints import Checkpoint, open_checkpoint
from harmonia.merge.bridging import NoBridging, Projector
from harmonia.merge.mixture.building import build_mixture
from harmonia.merge.plan import plan
from harmonia.merge.routing import Ppl, Random, RidgeRouter, TaskVector, TokenLinear
from harmonia.merge.routing.base import Router
from harmonia.merge.routing.examples import Examples
from harmonia.merge.streaming import merge
from harmonia.merge.weights import DareLinear, Linear, Ties
from harmonia.merge.weights.base import Weights
from harmonia.models.mixture.folder import load
from harmonia.models.mixture.prompted import prompted
from harmonia.models.pretrained import TokenBatch, quiet

LENGTH, PROMPT, BATCH = 256, 64, 8
"""Bytes of a text, bytes of its beginning that routers see, and texts of an update."""
HELD_OUT = 24
"""Texts of each domain that are judged."""

Texts = dict[str, np.ndarray]


def domains() -> tuple[Texts, Texts]:
    """Return texts to train on and to judge, (n, LENGTH) bytes by domain; files are on one side only."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    licences = sorted(Path("/usr/share/common-licenses").glob("*"))
    train: dict[str, list[bytes]] = {"code": [], "prose": [], "arithmetic": []}
    held: dict[str, list[bytes]] = {"code": [], "prose": [], "arithmetic": []}
    for number, path in enumerate(files):
        side = held if number % 5 == 0 else train
        source = path.read_bytes()
        side["code"].append(source)
        side["prose"].append("\n\n".join(_docstrings(source)).encode())
    train["prose"] += [path.read_bytes() for path in licences if path.is_file()]
    for side, name in ((train, "train"), (held, "held")):
        draw = generator(0, "arithmetic", name)
        for _ in range(400):
            lines = [f"{a} + {b} = {a + b}; {a} * {b} = {a * b}" for a, b in draw.integers(1, 999, (12, 2)).tolist()]
            side["arithmetic"].append("\n".join(lines).encode())
    return {name: _cut(found) for name, found in train.items()}, {name: _cut(found) for name, found in held.items()}


def _docstrings(source: bytes) -> list[str]:
    nodes = ast.walk(ast.parse(source))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [text for node in nodes if isinstance(node, kinds) and len(text := ast.get_docstring(node) or "") > 80]


def _cut(found: Sequence[bytes]) -> np.ndarray:
    pieces = [text[i : i + LENGTH] for text in found for i in range(0, len(text) - LENGTH + 1, LENGTH)]
    return np.stack([np.frombuffer(piece, np.uint8) for piece in pieces])


def batch(rows: np.ndarray) -> TokenBatch:
    """Return bytes as tokens."""
    ids = torch.from_numpy(rows.astype(np.int64))
    return TokenBatch(np.arange(len(rows)), ids, torch.ones_like(ids))


def trained(model: Any, texts: Sequence[np.ndarray], steps: int, rate: float, seed: int, word: str) -> Any:
    """Train a model in place on several domains, a batch of one of them at a time."""
    draw = generator(seed, "train", word)
    model.train().requires_grad_(True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 20) * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        rows = texts[step % len(texts)]
        ids = batch(rows[draw.integers(0, len(rows), BATCH)]).ids
        optimiser.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return model.eval().requires_grad_(False)


def small(width: int, seed: int) -> Any:
    """Return an untrained byte-level decoder."""
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=256,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=LENGTH,
        bos_token_id=None,
        eos_token_id=None,
    )
    return transformers.AutoModelForCausalLM.from_config(config)


def kept(model: Any, folder: Path) -> Checkpoint:
    """Write a model and open it."""
    with quiet():
        model.save_pretrained(folder)
    return open_checkpoint(folder)


def bits(model: Any, held: Texts) -> dict[str, float]:
    """Return bits per byte behind the prompt of each domain."""
    found = {}
    for name, rows in held.items():
        total = 0.0
        for start in range(0, len(rows), BATCH):
            ids = batch(rows[start : start + BATCH]).ids
            with torch.no_grad():
                logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, PROMPT - 1 : -1].float()
            total += float(torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, PROMPT:], reduction="sum"))
        found[name] = total / (len(rows) * (LENGTH - PROMPT)) / math.log(2)
    return found


def mixtures(router_steps: int) -> dict[str, tuple[Router, Weights]]:
    """Return the mixtures that are compared."""
    apart, together = Linear(), DareLinear(density=0.8, scaling="1/n")
    ties = Ties(density=0.8, normalize=False, scaling="1/n")
    found: dict[str, tuple[Router, Weights]] = {}
    for shared, word in (("non-ffn", "merged attention"), ("embed-head", "separate attention")):
        found |= {
            f"{word}, random": (Random(shared=shared), together),
            f"{word}, task-vector": (TaskVector(shared=shared), together),
            f"{word}, ppl": (Ppl(shared=shared, ppl_tokens=PROMPT), together),
            f"{word}, ppl neg_nll": (Ppl(shared=shared, ppl_tokens=PROMPT, score="neg_nll"), together),
            f"{word}, ridge-router": (RidgeRouter(shared=shared), together),
        }
    return found | {
        "separate attention, ppl, top 1": (Ppl(top_k=1, ppl_tokens=PROMPT), together),
        "nothing shared, ppl neg_nll": (Ppl(shared="nothing", ppl_tokens=PROMPT, score="neg_nll"), apart),
        "nothing shared, ppl, top 1": (Ppl(shared="nothing", top_k=1, ppl_tokens=PROMPT), apart),
        "btx, average": (TokenLinear(steps=router_steps), apart),
        "btx, ties": (TokenLinear(steps=router_steps), ties),
        "btx, dare": (TokenLinear(steps=router_steps), together),
    }


def one_seed(seed: int, arguments: Any, place: Path) -> dict[str, dict[str, float]]:
    """Return bits per byte of every arm and domain."""
    train, held = domains()
    draw = generator(seed, "held out")
    held = {name: rows[draw.permutation(len(rows))[:HELD_OUT]] for name, rows in held.items()}
    names = list(train)
    base = trained(small(arguments.width, seed), list(train.values()), arguments.steps, 3e-3, seed, "base")
    checkpoints, found = [kept(base, place / "base")], {"base": bits(base, held)}
    for name in names:
        expert = small(arguments.width, seed)
        expert.load_state_dict(base.state_dict())
        trained(expert, [train[name]], arguments.steps, arguments.expert_rate, seed, name)
        checkpoints.append(kept(expert, place / name))
        found[f"expert: {name}"] = bits(expert, held)
    found["oracle expert"] = {name: found[f"expert: {name}"][name] for name in names}
    theta, *experts = checkpoints
    dense: dict[str, Weights] = {
        "average": Linear(),
        "ties": Ties(density=0.8, normalize=False, scaling="1/n"),
        "dare": DareLinear(density=0.8, scaling="1/n"),
    }
    for name, rule in dense.items():
        merge(plan(experts, theta), rule, place / name, seed=seed)
        with quiet():
            merged = transformers.AutoModelForCausalLM.from_pretrained(place / name).eval()
        found[f"dense, {name}"] = bits(merged, held)
    draw = generator(seed, "examples")
    shown = Examples([[batch(rows[draw.integers(0, len(rows), BATCH)]) for _ in range(8)] for rows in train.values()])
    for name, (routing, rule) in mixtures(arguments.router_steps).items():
        folder = place / "mixture"
        build_mixture(
            experts, folder, rule=rule, routing=routing, bridging=NoBridging(), base=theta, examples=shown, seed=seed
        )
        found[name] = bits(prompted(load(folder), PROMPT), held)
        shutil.rmtree(folder)
    narrow = trained(small(arguments.width // 2, seed), [train[names[0]]], 2 * arguments.steps, 3e-3, seed, "narrow")
    several = [kept(narrow, place / "narrow"), *experts[1:]]
    for init in ("random", "least-squares"):
        build_mixture(
            several,
            place / init,
            rule=Linear(),
            routing=Ppl(ppl_tokens=PROMPT, score="neg_nll"),
            bridging=Projector(init=init),
            seed=seed,
        )
        found[f"two widths, {init} projectors"] = bits(prompted(load(place / init), PROMPT), held)
    return found


def main() -> None:
    """Run it."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600, help="updates of the base, and of each expert")
    parser.add_argument("--router-steps", type=int, default=200)
    parser.add_argument("--expert-rate", type=float, default=1e-3, help="how fast experts learn; the base's is 0.003")
    parser.add_argument("--width", type=int, default=128)
    arguments = parser.parse_args()
    single_threaded(arguments.threads)
    torch.set_num_threads(arguments.threads)
    set_quiet(True)
    started = time.perf_counter()
    runs: list[Mapping[str, Mapping[str, float]]] = []
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(one_seed(seed, arguments, Path(folder)))
    record = Record("mixture", "Held-out bits per byte behind the prompt, mean over seeds", vars(arguments))
    for arm in runs[0]:
        values = {name: [run[arm][name] for run in runs] for name in runs[0][arm]}
        means = [float(np.mean(list(run[arm].values()))) for run in runs]
        spread = {"least": min(means), "most": max(means)}
        record.add(
            arm=arm, **{name: float(np.mean(v)) for name, v in values.items()}, mean=float(np.mean(means)), **spread
        )
    dense = [arm for arm in runs[0] if arm.startswith("dense, ")]
    mean = lambda run, arm: float(np.mean(list(run[arm].values())))  # noqa: E731 - used often below
    for best in ("separate attention, ppl", "separate attention, ppl neg_nll", "nothing shared, ppl neg_nll"):
        record.facts[f"seeds in which '{best}' beats every dense merge"] = sum(
            all(mean(run, best) < mean(run, arm) for arm in dense) for run in runs
        )
        record.facts[f"worst domain of '{best}' against its oracle expert, ratio"] = max(
            run[best][name] / run["oracle expert"][name] for run in runs for name in run[best]
        )
    record.facts |= {
        "seeds in which closed-form projectors beat random ones": sum(
            mean(run, "two widths, least-squares projectors") < mean(run, "two widths, random projectors")
            for run in runs
        ),
        "minutes": (time.perf_counter() - started) / 60,
    }
    record.save(arguments.out)


if __name__ == "__main__":
    main()
