"""The model card: what was done to a model, and what it is like before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harmonia.compress.judge import BETTER


def card(summary: Mapping[str, Any], point: Mapping[str, Any]) -> str:
    """Return the README.md of a smaller model.

    Args:
        summary: of the run.
        point: of the ratio.
    """
    dense, name = summary["dense"], summary["score"]["name"]
    rows = [
        ("parameters", f"{dense['parameters']:,}", f"{point['parameters']:,}"),
        ("multiplications per token", f"{dense['macs']:,.0f}", f"{point['macs']:,.0f}"),
    ]
    if name:
        way = BETTER[name]
        rows.append((f"{name} ({way} is better)", f"{dense['score']:.6g}", f"{point['score']:.6g}"))
    for task, found in point.get("tasks", {}).items():
        rows.append((f"{task} of lm-eval", f"{dense['tasks'][task]['value']:.4g}", f"{found['value']:.4g}"))
    for batch, taken in point["seconds_per_token"].items():
        rows.append(
            (f"milliseconds per token, batch {batch}", f"{1e3 * taken['dense']:.4g}", f"{1e3 * taken['pruned']:.4g}")
        )
    axes = ", ".join(f"{axis} `{kind}`" for axis, kind in summary["axes"].items())
    lines = [
        "---",
        "library_name: " + ("transformers" if point["stock"] else "harmonia"),
        "tags: [pruned, harmonia]",
        "---",
        "",
        f"# {Path(summary['model']).name}, {point['ratio']:.0%} removed",
        "",
        f"Made by `harmonia compress` with the recipe `{summary['recipe']}`: {axes}. Nothing was retrained.",
        "",
        *_text(summary),
        "",
        "| | before | after |",
        "|---|---|---|",
        *(f"| {what} | {before} | {after} |" for what, before, after in rows),
        "",
        *_load(summary, point),
        *_layers(point),
    ]
    return "\n".join(lines) + "\n"


def _text(summary: Mapping[str, Any]) -> list[str]:
    used, judged = summary["calibration"], summary["judged"]
    said = []
    if used:
        said.append(
            f"Calibrated on {used['sequences']:,} sequences, {used['tokens']:,} tokens, of which {used['held']:.0%} "
            "were held out to choose ridges by."
        )
    if judged:
        said.append(f"Judged on {judged['sequences']:,} other sequences, {judged['tokens']:,} tokens.")
    return [" ".join(said)] if said else ["No text was used."]


def _load(summary: Mapping[str, Any], point: Mapping[str, Any]) -> list[str]:
    if point["stock"]:
        return ["Loads like the model that it comes from:", "", "```python", *_stock(summary["architecture"]), "```"]
    return [
        "Its layers have sizes, biases or matrices between them that the architecture has no place for; `config.json` "
        "lists them:",
        "",
        "```python",
        "from harmonia.models.pruned import load",
        "",
        'model = load("this folder")  # the usual class of transformers',
        "```",
    ]


def _stock(architecture: str) -> list[str]:
    return [f"from transformers import {architecture}", "", f'model = {architecture}.from_pretrained("this folder")']


def _layers(point: Mapping[str, Any]) -> list[str]:
    if not point["layers"]:
        stays = point["blocks"]
        if hidden := point.get("hidden"):
            return [
                "",
                f"Each hidden state was turned to its principal directions, and keeps {hidden['kept']} of "
                f"{hidden['channels']} channels; these hold at least {100 * min(hidden['energy']):.4g} % of its "
                "squares on the calibration tokens.",
            ]
        return [] if stays is None else ["", f"Layers that stayed: {', '.join(map(str, stays))}."]
    rows = [
        f"| {row['name']} | {row['kept']} of {row['units']} {row['kind']} | "
        + " | ".join(
            "–" if row[key] is None else f"{row[key]:.4g}" for key in ("E_none", "E_bias", "E_ls", "E_affine", "R2")
        )
        + " |"
        for row in point["layers"]
    ]
    return [
        "",
        "Squared errors of each layer's output over the calibration tokens: cut only, with a new bias, with least "
        "squares, with both. R2 is the share of what is lost beside a bias that the layer's other inputs give back.",
        "",
        "| layer | kept | none | bias | least squares | affine | R2 |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]
