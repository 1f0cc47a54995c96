"""Write the tables of the documentation that the code itself can tell: recipes, parts, and what fits what.

    python scripts/doc_tables.py

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; the rest of a page is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.compress.recipe import CompressRecipe
from harmonia.core.errors import InputError
from harmonia.core.part import Part, parts_in
from harmonia.data.catalogue import ENTRIES
from harmonia.data.partitions import PARTITIONS
from harmonia.decide.presets import PRESETS, preset
from harmonia.decide.recipe import DecideRecipe
from harmonia.decide.recipes import BOOK as DECIDE
from harmonia.decide.sharing.group_masks import GroupMasks
from harmonia.decide.text import AnyTextEncoder
from harmonia.federate.needs import Item, Sizes
from harmonia.federate.planner import Plan, conflicts, resolved
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.recipes import BOOK as FEDERATE
from harmonia.merge.recipe import MergeRecipe
from harmonia.models.classifiers import ARCHITECTURES
from harmonia.select.context import Context
from harmonia.select.judge import JudgeChoice
from harmonia.select.objective import Decorrelation, Quality, Weighted
from harmonia.select.objective.base import Objective
from harmonia.select.pool import Pool
from harmonia.select.recipe import SelectRecipe
from harmonia.stages import STAGES, find_stage, recipes
from harmonia.worlds.registry import WORLDS, find_world

DOCS = Path(__file__).parents[1] / "docs"

METHOD_PAGES = {
    "disf": ("disf", "disf-unit"),
    "datamask": ("datamask", "frank-wolfe"),
    "ntk-selector": ("ntk-selector", "ntk-selector-probe", "loss-alignment", "embedding-alignment"),
    "dsir": ("dsir",),
    "semdedup-d4": ("semdedup", "d4"),
    "quality": ("quality", "qurating", "classifier", "heuristic-cls", "perplexity"),
    "coverage": ("facility-location", "graph-cut", "k-center", "prototypes", "k-means"),
    "volume": ("log-det", "leverage"),
    "doremi": ("doremi",),
    "baselines": ("random", "full", "stratified"),
    "decision-transformers": (
        "dt",
        "mtdt",
        "prompt-dt",
        "text-dt",
        "mt-bc",
        "mlp-bc",
        "expert",
        "lora-multitask",
    ),
    "multi-task-gradients": ("pcgrad", "cagrad", "famo"),
    "harmodt": ("harmodt", "harmodt-r", "harmodt-m"),
    "g-harmodt": ("g-harmodt",),
    "compoformer": ("compoformer-grow", "compoformer-prune"),
    "continual": (
        "finetune",
        "l2",
        "ewc",
        "mas",
        "rwalk",
        "lwf",
        "er",
        "agem",
        "lora",
        "packnet",
        "single",
        "mtl",
    ),
    "liar": (
        "liar-wifv",
        "liar-magnitude",
        "liar-taylor",
        "liar-obs",
        "liar-stream",
        "ls-wifv",
        "bias-wifv",
        "none-wifv",
    ),
    "structured-pruning": (
        "flap",
        "wanda-sp",
        "magnitude",
        "none-random",
        "kwon",
        "kcm",
        "llm-pruner",
        "obs",
        "shortgpt",
        "slicegpt",
    ),
    "federated-averaging": (
        "fedavg",
        "fedprox",
        "scaffold",
        "fednova",
        "feddyn",
        "moon",
        "fedavgm",
        "fedadam",
        "fedyogi",
        "fedadagrad",
        "fedcm",
    ),
    "fedskip": ("fedskip", "cyclic"),
    "fedmr": ("fedmr", "fedmr-intra", "feddecorr"),
    "fedgela": (
        "fedgela",
        "fedetf",
        "fedper",
        "fedrep",
        "fedbabu",
        "gela-lesam",
        "gela-mr",
        "etf-mr-lesam-skip",
    ),
    "fedlesam": (
        "fedlesam",
        "fedlesam-s",
        "fedlesam-d",
        "fedsam",
        "mofedsam",
        "fedgamma",
        "fedsmoo",
    ),
    "averaging": ("linear", "slerp", "multislerp", "model-stock"),
    "adamerging": ("ada-merging", "ada-merging-task", "ada-merging-pp"),
    "task-arithmetic": ("task-arithmetic", "breadcrumbs", "breadcrumbs-ties", "sce", "pcb"),
    "ties": ("ties", "mergekit-ties", "official-ties"),
    "dare": ("dare-linear", "dare-ties", "della", "della-linear"),
    "fisher-regmean": ("fisher", "regmean"),
    "mixtures": ("btx", "mergeme-ties", "mergeme-dare", "mergeme-free", "mergeme-hetero", "ridge-router"),
}
"""Page in docs/methods -> the recipes that it describes."""

_TEXT = "the court shall hear the parties and the clerk shall write the record of the case"
_EXAMPLES = {
    "classifier": {"positive_texts": (_TEXT,)},
    "heuristic-cls": {"positive_texts": (_TEXT,), "alpha": 0.05},
    "dsir": {"target_texts": (_TEXT,), "min_words": 0},
    "mean-alignment": {"target_texts": (_TEXT,)},
    "knn-vote": {"target_texts": (_TEXT,), "neighbours": 3},
}


def recipe_table(stage: str) -> str:
    """Return every recipe of a stage with its parts, its meaning and its page; an axis of one part is left out."""
    page_of = {name: page for page, names in METHOD_PAGES.items() for name in names}
    axes = [axis for axis, parts in find_stage(stage).book.recipe.axes().items() if len(parts) > 1]
    return _table(
        ("recipe", *axes, "what it does"),
        (
            (
                ", ".join(
                    [f"[`{row['name']}`](methods/{page_of[row['name']]}.md)", *(f"`{a}`" for a in row["aliases"])]
                ),
                *(f"`{row['axes'][axis]}`" for axis in axes),
                _plain(row["meaning"]),
            )
            for row in recipes(stage)
        ),
    )


def part_table(parts: Iterable[type[Part]]) -> str:
    """Return parts with their fields and meanings."""
    return _table(
        ("kind", "what it does", "fields"),
        (
            (
                f"`{part.kind_name()}`",
                _plain(part.meaning()),
                ", ".join(f"`{name}`" for name in part.model_fields if name != "kind"),
            )
            for part in parts
        ),
    )


def sharing_table() -> str:
    """Return what each way of sharing can do, as its class says."""
    rows = []
    for part in DecideRecipe.axes()["sharing"]:
        sharing: Any = part()
        can = (sharing.joint, sharing.sequential, sharing.protects, not sharing.needs_task, sharing.open_to_unseen)
        rows.append((f"`{part.kind_name()}`", *("yes" if each else "" for each in can)))
    head = ("sharing", "tasks together", "in sequence", "earlier tasks stay", "finds its task", "open to unseen tasks")
    return _table(head, rows)


def preset_table() -> str:
    """Return what a preset makes of a recipe for tasks together, and of one for a stream."""
    rows = []
    for name in PRESETS:
        joint, stream = (preset(DECIDE.get(recipe), name) for recipe in ("mtdt", "finetune"))
        network = joint.backbone.model_dump()
        sizes = (f"{network[field]:,}" for field in ("width", "layers", "context"))
        together, alone = joint.training, stream.training
        of = "of every task" if together.batching == "joint" else "of one task in turn"
        amounts = (f"{together.steps:,} x {together.batch} windows {of}", f"{alone.steps:,} x {alone.batch} windows")
        rows.append((f"`{name}`", *sizes, *amounts))
    return _table(("preset", "width", "layers", "context", "tasks together", "each task of a stream"), rows)


def world_table() -> str:
    """Return the worlds with their sizes."""
    return _table(
        ("world", "tasks", "observation", "action", "steps of an episode", "goals per task: training, held out"),
        (
            (
                f"`{name}`",
                str(len(world.tasks())),
                str(world.observation_size),
                str(world.action_size),
                str(world.horizon),
                f"{world.training_goals}, {world.goals - world.training_goals}",
            )
            for name in WORLDS
            for world in [find_world(name)]
        ),
    )


def set_table() -> str:
    """Return the named sets of tasks; names are listed where they are few."""
    return _table(
        ("set", "tasks", "names"),
        (
            (
                f"`{world}:{name}`",
                str(len(tasks)),
                ", ".join(f"`{task}`" for task in tasks) if len(tasks) <= LISTED else "",
            )
            for world in WORLDS
            for name, tasks in find_world(world).sets.items()
        ),
    )


LISTED = 10
"""Tasks of a set up to which a table names them."""


def compatibility_table() -> str:
    """Return which solvers take which objective, found by asking each objective on a small pool."""
    rows = []
    for objective in _objectives():
        name = f"`{objective.kind_name()}`"
        if isinstance(objective, Decorrelation):
            name += f" {objective.normalise}"
        if isinstance(objective, Weighted):
            rows.append((name, "if all its terms are", "yes", "if all its terms are"))
            continue
        modular, relaxed = capabilities(objective)
        rows.append((name, "yes" if modular else "", "yes", "yes" if relaxed else ""))
    return _table(("objective", "scores single documents", "climbs", "relaxes"), rows)


def capabilities(objective: Objective) -> tuple[bool, bool]:
    """Return whether an objective scores single documents, and whether it has a concave relaxation."""
    function = objective.fit(_pool(), Context(warn=lambda message: None))
    try:
        function.relax(4)
    except InputError:
        return function.scores() is not None, False
    return function.scores() is not None, True


def _objectives() -> Iterable[Objective]:
    for part in SelectRecipe.axes()["objective"]:
        if part is Decorrelation:
            yield from (Decorrelation(normalise=n) for n in ("pool_unit", "per_set", "covariance", "participation"))
        elif part is Weighted:
            yield Weighted(terms=({"weight": 1.0, "objective": Quality()},))
        else:
            yield part(**_EXAMPLES.get(part.kind_name(), {}))  # type: ignore[misc]


def _pool() -> Pool:
    rng = np.random.default_rng(0)
    texts = [f"{_TEXT} {i} {rng.integers(100)}" for i in range(16)]
    pool = Pool.from_arrays(rng.normal(size=(16, 4)).astype(np.float32), quality=rng.random(16), texts=texts)
    return replace(pool, encoder=lambda: lambda given: np.ones((len(given), 4), np.float32))


def message_table() -> str:
    """Return what recipes of ``federate`` keep and send, as their plans say; those that need the same in one row."""
    names: dict[tuple[str, ...], list[str]] = {}
    for recipe in FEDERATE:
        plan = Plan.of(recipe, Sizes(shared=1, private=1, classes=2, features=1))
        head = ("its head (H)",) if recipe.head.private else ()
        kept = ", ".join([*map(_sized, plan.items("kept")), *head])
        others = (", ".join(map(_sized, plan.items(where))) for where in ("down", "up", "server"))
        names.setdefault((kept, *others, str(plan.needs.backward)), []).append(f"`{recipe.name}`")
    head = (
        "recipes",
        "a client keeps",
        "it is sent besides w",
        "it sends besides v",
        "the server keeps besides w",
        "passes",
    )
    return _table(head, ((", ".join(recipes), *needs) for needs, recipes in names.items()))


def _sized(item: Item) -> str:
    return f"{item.name} ({'C d' if item.size == 'Cd' else item.size})"


SPECIAL = (
    *((f"head={kind}", "loss=mr", "loss.anchors=head") for kind in ("linear", "local", "frozen-random")),
    ("drift=scaffold", "training.momentum=0.9"),
    ("weight=nova", "training.momentum=0.9"),
    ("drift=dyn", "drift.alpha=0.5", "server=dyn", "weight=uniform"),
    *(
        (f"{axis}={kind}", "head=local", "head.order=alternate")
        for axis, kind in (("drift", "scaffold"), ("drift", "momentum"), ("weight", "nova"))
    ),
)
"""Settings of fields that meet a conflict; pairs of parts are tried without being listed."""


def conflict_table() -> str:
    """Return what the planner says of choices that do not go together, found by asking it about all pairs of parts."""
    kinds = {axis: [part.kind_name() for part in parts] for axis, parts in FederateRecipe.axes().items()}
    pairs = ((f"{a}={x}", f"{b}={y}") for a, b in combinations(kinds, 2) for x in kinds[a] for y in kinds[b])
    rows: dict[tuple[str, str], list[list[str]]] = {}
    for settings in (*pairs, *SPECIAL):
        mended, notes = resolved(FEDERATE.get("fedavg").with_settings(settings))
        for message in (*notes, *conflicts(mended)):
            said, _, outcome = message.replace(": --set ", ": refused; --set ").partition(": ")
            # the same words about other kinds go into the same row
            found = rows.setdefault((_CHOICE.sub(r"\1\2{}", said), outcome or "refused"), [])
            for place, (_, _, kind) in enumerate(_CHOICE.findall(said)):
                found += [[]] * (place == len(found))
                found[place] = [*dict.fromkeys([*found[place], kind])]
    return _table(
        ("what the planner says", "what happens"),
        ((said.format(*map("/".join, found)), outcome) for (said, outcome), found in rows.items()),
    )


_CHOICE = re.compile(rf"\b((?:{'|'.join(FederateRecipe.axes())})(?:\.[a-z_]+)?)(=| is )([\w.-]*\w)")


def catalogue_table() -> str:
    """Return the datasets and weights of the catalogue."""
    return _table(
        ("name", "what it is", "documents", "download", "licence", "from"),
        (
            (
                f"`{entry.name}`",
                entry.about,
                f"{entry.documents:,}" if entry.documents else "weights",
                f"{entry.size / 1e6:.0f} MB",
                entry.licence,
                entry.origin,
            )
            for entry in ENTRIES.values()
        ),
    )


PARTS = {
    **SelectRecipe.axes(),
    **JudgeChoice.axes(),
    **DecideRecipe.axes(),
    **{axis: parts for axis, parts in FederateRecipe.axes().items() if axis != "training"},
    "local_training": FederateRecipe.axes()["training"],
    **{axis: parts for axis, parts in CompressRecipe.axes().items() if axis != "calibration"},
    "calibration_text": CompressRecipe.axes()["calibration"],
    **MergeRecipe.axes(),
    "partition": tuple(PARTITIONS.values()),
    "network": ARCHITECTURES,
    "text": parts_in(AnyTextEncoder),
    "selector": parts_in(GroupMasks.model_fields["selector"].annotation),
    "cluster": parts_in(GroupMasks.model_fields["cluster"].annotation),
}
"""Name of a table -> the parts in it: those of an axis, or of a field of a part."""

TABLES: dict[str, Callable[[], str]] = {
    **{f"recipes_{stage}": partial(recipe_table, stage) for stage in STAGES},
    **{name: partial(part_table, parts) for name, parts in PARTS.items()},
    "compatibility": compatibility_table,
    "catalogue": catalogue_table,
    "messages": message_table,
    "conflicts": conflict_table,
    "sharing_fits": sharing_table,
    "presets": preset_table,
    "worlds": world_table,
    "sets": set_table,
}


def filled(page: str) -> str:
    """Return a page with its tables written anew."""
    return re.sub(
        r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{TABLES[match[2]]()}\n\n{match[3]}",
        page,
        flags=re.DOTALL,
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells)


def _plain(meaning: str) -> str:
    return meaning.replace("``", "`")


def main() -> None:
    """Rewrite every page that holds a table."""
    for path in sorted(DOCS.rglob("*.md")):
        page = path.read_text(encoding="utf-8")
        if (new := filled(page)) != page:
            path.write_text(new, encoding="utf-8")
            print(path.relative_to(DOCS))


if __name__ == "__main__":
    main()
