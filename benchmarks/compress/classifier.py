"""A small classifier of real sentences that loses half of its heads and neurons: the share of its accuracy that stays.

MiniLM (6 layers, width 384) with a new head is fine-tuned on the 6,920 sentences of SST-2's training split (binary
sentiment), then cut by each recipe without any training, and judged on the 1,821 sentences of the test split. A seed
draws the head, the order of training and the calibration sentences, all of them training sentences.

    python -m benchmarks.compress.classifier --out results
    python -m benchmarks.compress.classifier --seeds 1 --epochs 1 --train 640 --judged 300 --out results
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.datasets import sentences
from benchmarks.record import Record, options, single_threaded
from harmonia.compress.dense import Dense
from harmonia.compress.engine import compress
from harmonia.core.progress import set_quiet
from harmonia.core.seeds import generator
from harmonia.data.catalogue import path_of
from harmonia.models.pretrained import load_tokenizer, padded, quiet

RECIPES = (
    "none-wifv",
    "bias-wifv",
    "flap",
    "ls-wifv",
    "liar-wifv",
    "liar-obs",
    "kwon",
    "kcm",
)
LONGEST, BATCH = 64, 32
"""Tokens of a sentence, and sentences of an update."""


def trained(rows: list[dict[str, Any]], place: Path, folder: Path, epochs: int, rate: float, seed: int) -> None:
    """Fine-tune MiniLM on labelled sentences and write it to a folder; its token embeddings stay as they are."""
    torch.manual_seed(seed)
    tokenizer = load_tokenizer(str(place))
    with quiet():
        model = transformers.AutoModelForSequenceClassification.from_pretrained(place, num_labels=2)
    model.bert.embeddings.requires_grad_(False)
    model.train()
    ids = tokenizer([row["text"] for row in rows], truncation=True, max_length=LONGEST)["input_ids"]
    labels = torch.tensor([row["label"] for row in rows])
    lengths = np.array([len(own) for own in ids])
    draw = generator(seed, "order")
    steps = epochs * math.ceil(len(rows) / BATCH)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    for _ in range(epochs):
        # sentences of like length share a batch, and batches come in any order
        order = np.lexsort((draw.random(len(rows)), lengths + draw.integers(0, 4, len(rows))))
        batches = [order[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        for number in draw.permutation(len(batches)):
            batch = padded(batches[number], ids, "cpu")
            loss = model(input_ids=batch.ids, attention_mask=batch.mask, labels=labels[batch.rows]).loss
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            schedule.step()
    with quiet():
        model.eval().save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def written(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps({"text": row["text"], "label": str(row["label"])}) + "\n" for row in rows))
    return path


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--train", type=int, help="sentences to train on; all when left out")
    parser.add_argument("--judged", type=int, help="sentences to judge by; all when left out")
    parser.add_argument("--sequences", type=int, default=1600, help="sentences to calibrate on")
    parser.add_argument("--recipes", default="/".join(RECIPES), help="with / between them")
    given = parser.parse_args()
    single_threaded(given.threads)
    torch.set_num_threads(given.threads)
    set_quiet(True)
    splits = sentences("sst2")
    train = splits["train"][: given.train]
    judged = splits["test"][: given.judged]
    recipes = given.recipes.split("/")
    accuracy: dict[str, list[float]] = {recipe: [] for recipe in recipes}
    whole, parameters = [], {}
    started = time.perf_counter()
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            trained(train, path_of("minilm"), folder / "model", given.epochs, given.rate, seed)
            texts, held = written(train, folder / "train.jsonl"), written(judged, folder / "judged.jsonl")
            dense = Dense.open(folder / "model")
            for recipe in recipes:
                result = compress(
                    dense,
                    recipe,
                    ratio=given.ratio,
                    calibration=str(texts),
                    held_out=str(held),
                    label="label",
                    judged=LONGEST * len(judged),
                    settings=[f"calibration.sequences={min(given.sequences, len(train))}", "calibration.batch=16"],
                    timed=False,
                    seed=seed,
                    statistics=folder / "statistics",
                    out=folder / recipe,
                )
                point = result.summary["points"][0]
                accuracy[recipe].append(point["score"])
                parameters[recipe] = point["parameters"] / result.summary["dense"]["parameters"]
                sizes = result.summary["judged"]["sequences"]
            whole.append(result.summary["dense"]["score"])
            print(
                f"seed {seed}: dense {whole[-1]:.4f}, { ({r: round(a[-1], 4) for r, a in accuracy.items()}) }",
                flush=True,
            )
    record = Record(
        "compress_classifier",
        f"SST-2, {sizes} sentences, {given.ratio:g} of heads and neurons removed: accuracy",
        vars(given),
    )
    record.add(arm="dense", accuracy=float(np.mean(whole)), std=float(np.std(whole)), kept="100 %", parameters=1.0)
    for recipe, found in accuracy.items():
        share = 100 * np.divide(found, whole)
        record.add(
            arm=recipe,
            accuracy=float(np.mean(found)),
            std=float(np.std(found)),
            kept=f"{share.mean():.1f} %",
            parameters=parameters[recipe],
        )
    record.facts = {
        f"accuracy kept by {recipe}, percent, each seed": [
            round(100 * a / b, 2) for a, b in zip(found, whole, strict=True)
        ]
        for recipe, found in accuracy.items()
        if recipe.startswith("liar")
    } | {"minutes": (time.perf_counter() - started) / 60}
    record.save(given.out)


if __name__ == "__main__":
    main()
