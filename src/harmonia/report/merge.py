"""The page of a merge: what was made of what, and how the experts disagree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harmonia.core.files import read_json
from harmonia.report.experts import facts, most_conflict, pictures
from harmonia.report.folder import environment, optional_json, optional_text, phases
from harmonia.report.heat import heat
from harmonia.report.numbers import count, percent, short, size
from harmonia.report.page import render

_SHARED = {
    "non-ffn": "all but feed-forward layers",
    "non-ffn-non-attn": "embedding, norms and head",
    "embed-head": "embedding, final norm and head",
    "nothing": "none",
}
_DECIDES = {
    "token-gate": "by a gate in every layer, for every token",
    "sequence-gate": "by a gate, once for a text, by its mean embedding",
    "ppl": "once for a text, by how likely each finds its beginning",
    "task-vector": "once for a text, by the gradient of its beginning at the base",
}


def page(run_folder: Path) -> str:
    """Return the page of a finished run of ``merge``, read from the run's folder alone.

    Args:
        run_folder: holds ``result/summary.json``; ``result/disagreement.json``, ``run.json``, ``recipe.yaml`` and
            ``environment.json`` are shown when they are there.

    Raises:
        RunError: the summary is missing or damaged.
    """
    folder = Path(run_folder)
    summary = read_json(folder / "result" / "summary.json")
    told = optional_json(folder / "result" / "disagreement.json")
    return render(
        "merge.html",
        f"Merged by {summary['recipe']}",
        summary=summary,
        mixture=summary.get("mixture"),
        findings=findings(summary),
        facts=facts(told["model"]) if told else None,
        pictures=[*_router(summary.get("mixture")), *(pictures(told) if told else [])],
        use=_use(folder, summary),
        phases=phases(summary["seconds"]),
        recipe=optional_text(folder / "recipe.yaml"),
        environment=environment(folder),
    )


def findings(summary: Mapping[str, Any]) -> list[str]:
    """Return in words what the figures of a run say; nothing is said that they do not show."""
    experts, moved = summary["experts"], summary["bytes"]
    mixture = summary.get("mixture")
    if summary.get("adapter"):
        return _adapted(summary, summary["adapter"])
    said = (
        _mixed(summary, mixture)
        if mixture
        else [
            f"{len(experts)} experts of {short(summary['parameters'])} parameters became "
            + (f"{len(summary['models'])} models" if len(summary["models"]) > 1 else "one model")
            + f" of {size(moved['model'])}; {size(moved['inputs'])} of weights were read."
        ]
    )
    if fit := summary.get("fit"):
        before, after = (sum(fit["entropy"][when]) / len(experts) for when in ("before", "after"))
        said.append(
            f"{count(len(fit['coefficients']) * len(experts))} coefficients were fitted in {count(fit['steps'])} "
            f"updates: mean entropy of the predictions fell from {before:.3f} to {after:.3f} nats."
            if after < before
            else f"Fitting {count(fit['steps'])} updates did not lower the entropy of the predictions "
            f"({before:.3f} before, {after:.3f} nats after)."
        )
    if found := summary["disagreement"]:
        figures, model = facts(found["model"]), found["model"]
        if len(experts) > 1:
            said.append(
                f"Mean cosine of their task vectors {figures['mean_cosine']}, the lowest {figures['lowest']}; they "
                f"move {figures['sign_conflict']} of the weights in opposite directions."
            )
            layer, share = most_conflict(found["layers"])[0]
            said.append(f"Most conflict of signs in layer {layer}: {percent(share)} of its weights.")
        far = model["relative_norms"]
        name = experts[far.index(max(far))]["name"]
        said.append(f"{name} moved farthest from the base: {figures['farthest']} of its length.")
    if summary.get("untouched"):
        said.append(f"{count(summary['untouched'])} tensors no expert had changed; they are the base's.")
    if summary.get("copied"):
        said.append(
            f"{count(len(summary['copied']))} tensors are taken from the base as they are, for instance "
            f"{summary['copied'][0]}."
        )
    return said


def _adapted(summary: Mapping[str, Any], adapter: Mapping[str, Any]) -> list[str]:
    said = [
        f"{len(summary['experts'])} adapters became one of rank {adapter['rank']} in {count(adapter['modules'])} "
        f"layers, {short(summary['parameters'])} numbers ({size(summary['bytes']['model'])})."
    ]
    if adapter["exact"]:
        return [*said, "It changes the base exactly as the rule says: nothing was cut."]
    layer = max(adapter["errors"], key=adapter["errors"].__getitem__)
    return [
        *said,
        f"Cutting it to that rank lost {percent(adapter['error'])} of the length of the change, most in {layer} "
        f"({percent(adapter['errors'][layer])}).",
    ]


def _mixed(summary: Mapping[str, Any], mixture: Mapping[str, Any]) -> list[str]:
    experts, moved = summary["experts"], summary["bytes"]
    said = [
        f"{len(experts)} experts became a mixture of {short(summary['parameters'])} parameters "
        f"({size(moved['model'])}), of which at most {short(mixture['active_parameters'])} work for a token: "
        f"{mixture['top_k']} experts at a time.",
        f"{count(mixture['shared_tensors'])} tensors are shared ({_SHARED[mixture['shared']]}) and merged by "
        f"{summary['axes']['weights']}; {count(mixture['copied_tensors'])} are the experts' own.",
        f"Experts are chosen {_DECIDES[mixture['decides']]}.",
    ]
    if seen := mixture["router"]:
        for domain, row, entropy in zip(seen["domains"], seen["shares"], seen["entropy"], strict=True):
            most = max(range(len(row)), key=row.__getitem__)
            said.append(
                f"Text of {domain}: {percent(row[most])} of the weight goes to {seen['experts'][most]} "
                f"(entropy {entropy:.2f} nats)."
            )
        if seen["conditions"]:
            said.append(f"Condition number of the gate vectors: at most {short(max(seen['conditions']))}.")
    return said


def _router(mixture: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the picture of what a router does, if it was looked at."""
    if not mixture or not mixture["router"]:
        return []
    seen = mixture["router"]
    shares = heat(
        seen["domains"],
        seen["experts"],
        seen["shares"],
        span=(0.0, 1.0),
        words=lambda x: percent(x).removesuffix(" %"),
        between=" \u2192 ",
        corner="text of \\ expert, %",
    )
    meaning = (
        "Share of the weight that each expert has for text of each domain; a router that tells domains apart is strong "
        "on the diagonal."
    )
    return [{"title": "Who works for what", "meaning": meaning, "heat": shares}]


def _use(folder: Path, summary: Mapping[str, Any]) -> str:
    place = str(folder / "result" / summary["models"][0]["folder"])
    if summary.get("adapter"):
        return (
            "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n"
            f"base = AutoModelForCausalLM.from_pretrained({json.dumps(summary['base'] or 'BASE')})\n"
            f"model = PeftModel.from_pretrained(base, {json.dumps(place, ensure_ascii=False)})\n"
        )
    if not summary.get("mixture", {"stock": True})["stock"]:
        return (
            "from harmonia.models.mixture.folder import load\n"
            "from transformers import AutoTokenizer\n\n"
            f"folder = {json.dumps(place, ensure_ascii=False)}\n"
            "tokenizer = AutoTokenizer.from_pretrained(folder)\n"
            "model = load(folder)\n"
            'new = model.generate([tokenizer("A prompt").input_ids], max_new_tokens=64)\n'
            "print(tokenizer.decode(new[0]))\n"
        )
    return (
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        f"folder = {json.dumps(place, ensure_ascii=False)}\n"
        "model = AutoModelForCausalLM.from_pretrained(folder)\n"
        "tokenizer = AutoTokenizer.from_pretrained(folder)\n"
    )
