"""What a diagnosis says: each finding with the figures that made it one, and the recipes that address it."""

from __future__ import annotations

from typing import Any

import numpy as np

from harmonia.select.summary import NEAR

DUPLICATES_MATTER = 0.02
"""Share of repeated documents from which deduplication is advised."""
COLLAPSE = 0.05
"""Participation ratio, as a share of the largest possible, below which the pool is called collapsed."""
DOMINANT = 0.5
"""Share of the ten largest of at least fifty eigenvalues above which the pool is called collapsed."""
UNEVEN = 20.0
"""Ratio of the largest to the smallest source from which quotas are advised."""
APART = 0.2
"""Mixing below which two sources are said to lie apart."""
LENGTHS = 4.0
"""Ratio of mean lengths between sources from which a budget in tokens is advised."""
RELATED = 0.3
"""Absolute rank correlation of quality and length that is worth a word."""
NARROW = 0.8
"""Effective rank of the best tenth by quality, against a random tenth, below which quality alone narrows the set."""


def collapse(spectrum: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return whether few directions carry the features, with the figures that say so."""
    if spectrum is None:
        return None
    most = spectrum["largest_rank"]
    share = spectrum["participation_ratio"] / most
    top = spectrum["dominance"].get("10")
    reasons = []
    if share < COLLAPSE:
        reasons.append(
            f"the participation ratio {spectrum['participation_ratio']:.1f} is {100 * share:.1f} % of the "
            f"largest possible, {most}"
        )
    if most >= 50 and top is not None and top > DOMINANT:
        reasons.append(f"the 10 largest of {most} eigenvalues hold {100 * top:.0f} % of the variance")
    return {"collapsed": bool(reasons), "participation_share": share, "dominance_10": top, "reasons": reasons}


def advice(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what stands out in a diagnosis, with its figures and the recipes that address it."""
    found: list[dict[str, Any]] = []

    def say(finding: str, figures: dict[str, float], *recipes: str) -> None:
        found.append({"finding": finding, "figures": figures, "recipes": list(recipes)})

    duplicates, sources = record["duplicates"], record["sources"]
    shares = {name: part["share"] for name, part in duplicates.items() if part and part["share"] >= DUPLICATES_MATTER}
    if shares:
        words = {"exact": "repeat another word for word", "near": f"have a near duplicate (cosine of at least {NEAR})"}
        say(
            " and ".join(f"{100 * share:.1f} % of the documents {words[name]}" for name, share in shares.items()),
            {f"{name}_duplicate_share": share for name, share in shares.items()},
            "semdedup",
            "d4",
        )
    if record["collapse"] and record["collapse"]["collapsed"]:
        figures = {name: record["spectrum"][name] for name in ("participation_ratio", "effective_rank")}
        if record["collapse"]["dominance_10"] is not None:
            figures["dominance_10"] = record["collapse"]["dominance_10"]
        say(
            "few directions carry the features: " + "; ".join(record["collapse"]["reasons"]),
            figures,
            "disf-unit",
            "facility-location",
        )
    sources = [s for s in sources if s["documents"]]
    if len(sources) > 1:
        largest, smallest = max(sources, key=lambda s: s["tokens"]), min(sources, key=lambda s: s["tokens"])
        ratio = largest["tokens"] / max(smallest["tokens"], 1)
        if ratio >= UNEVEN:
            say(
                f"{largest['source']} has {ratio:.0f} times the tokens of {smallest['source']}; a selection that does "
                "not look at sources may lose the small ones",
                {"largest_share": largest["share"], "smallest_share": smallest["share"]},
                "stratified",
            )
        means = {s["source"]: s["mean_length"] for s in sources if s["mean_length"]}
        if len(means) > 1 and max(means.values()) >= LENGTHS * min(means.values()):
            long, short = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
            say(
                f"documents of {long} are {means[long] / means[short]:.1f} times as long as those of {short}; "
                f"a budget in tokens does not favour {long}",
                {"longest_mean_bytes": means[long], "shortest_mean_bytes": means[short]},
            )
    if overlap := record["overlap"]:
        m = np.array(overlap["mixing"], np.float64)
        off = m[~np.eye(len(m), dtype=bool)]
        off = off[np.isfinite(off)]
        if len(off) and float(np.median(off)) < APART:
            say(
                f"sources lie apart: half of their pairs mix at less than {APART} of what chance would give; every "
                "source needs its own share or its own coverage",
                {"median_mixing": float(np.median(off)), "largest_mixing": float(off.max())},
                "stratified",
                "facility-location",
            )
    for column, q in record["quality"].items():
        if q["narrowing"] is not None and q["narrowing"] < NARROW:
            say(
                f"the best tenth by {column} spans {100 * q['narrowing']:.0f} % of the effective rank of a random "
                "tenth: quality alone narrows the set",
                {"effective_rank_ratio": q["narrowing"]},
                "datamask",
                "frank-wolfe",
            )
        if q["length_correlation"] is not None and abs(q["length_correlation"]) >= RELATED:
            how, which = ("rises", "long") if q["length_correlation"] > 0 else ("falls", "short")
            say(
                f"{column} {how} with length, so picking by it alone picks {which} documents",
                {"rank_correlation": q["length_correlation"]},
                "datamask",
                "frank-wolfe",
            )
    return found
