"""Tables for the terminal: the same figures as the pages, in as few lines as a screen holds.

Names and findings come from data, so they are shown as plain text, never as markup or control sequences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harmonia.report.compare import cells, direction, findings, headline, held, pairs, spelled, unit
from harmonia.report.compress import findings as compression_findings
from harmonia.report.compress import points as compression_points
from harmonia.report.compress import told
from harmonia.report.decide import findings as policy_findings
from harmonia.report.decide import totals
from harmonia.report.experts import most_conflict
from harmonia.report.federate import findings as training_findings
from harmonia.report.merge import findings as merge_findings
from harmonia.report.numbers import bounds, brief, cosine, count, duration, middle, percent, ratio, short, size, value
from harmonia.report.partition import findings as partition_findings
from harmonia.report.plain import plain
from harmonia.report.select import findings as selection_findings

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from harmonia.report.compare import Cell

SOURCES = 20
"""Most sources or clients listed."""


def selection(summary: Mapping[str, Any]) -> Group:
    """Return the summary of a selection."""
    from rich.console import Group

    total, picked = summary["tokens"] or 1, summary["picked"]["tokens"] or 1
    table = _table("source", "documents", "picked", "of tokens", "of picks", "change")
    ordered = sorted(summary["sources"], key=lambda s: -s["tokens"])
    for s in ordered[:SOURCES]:
        before, after = s["tokens"] / total, s["picked_tokens"] / picked
        table.add_row(
            plain(s["source"]),
            count(s["documents"]),
            count(s["picked_documents"]),
            percent(before),
            percent(after),
            ratio(after, before),
        )
    lines = [*_more(len(ordered)), *(plain(line, 400) for line in selection_findings(dict(summary)))]
    if seconds := summary.get("seconds"):
        lines.append(plain(f"{duration(sum(seconds.values()))}, peak memory {size(summary.get('peak_memory_bytes'))}"))
    return Group(table, *lines)


def comparison(record: Mapping[str, Any]) -> Group:
    """Return one table per headline metric; every difference stands with its interval."""
    from rich.console import Group

    shown = headline(record["metrics"]) or list(record["metrics"])
    judged = [metric for metric in shown if direction(metric, record)] or shown
    if held(record) == "source":
        parts = [_differences(record, metric, record.get("seconds") or {}) for metric in judged]
    else:
        parts = [_differences(record, judged[0]), *([_pairs(record)] if record.get("pairs") else [])]
        parts += [_means(record, judged[1:])] if judged[1:] else []
        parts.append(_costs(record, [m for m in shown if m not in judged]))
    noticed = [f"noticed: {line}" for line in record.get("warnings") or ()]
    if len(noticed) > NOTICED:
        noticed[NOTICED:] = [f"and {len(noticed) - NOTICED} more in the report"]
    return Group(*parts, *(plain(line, 1000) for line in (*findings(record), *noticed)))


NOTICED = 5
"""Warnings that a terminal shows."""


def _differences(record: Mapping[str, Any], metric: str, seconds: Mapping[str, Any] | None = None) -> Table:
    """Return one metric, each difference to the baseline with its interval over the seeds; times if given."""
    table = _table(
        "recipe", "mean", _difference(record, unit(metric).after), "verdict", *(["time"] if seconds is not None else [])
    )
    way = {-1: " (less is better)", 1: " (more is better)", 0: ""}[direction(metric, record)]
    for c in cells(record, metric):
        time = [duration(seconds.get(c.recipe))] if seconds is not None else []
        table.add_row(plain(c.recipe), c.shown, plain(_bare(c)), c.said, *time, style=_STYLES.get(c.verdict))
    return _titled(table, spelled(metric, held(record)) + way)


def _pairs(record: Mapping[str, Any]) -> Table:
    """Return success with its interval over (seed, goal) pairs."""
    found = pairs(record)
    table = _table("recipe", "success\n[95 %]", _difference(record, found[0].cell.unit.after), "verdict")
    for p in found:
        words = (plain(p.cell.recipe), p.words, plain(_bare(p.cell)), p.cell.said)
        table.add_row(*words, style=_STYLES.get(p.cell.verdict))
    return _titled(table, f"success over {found[0].cell.n} (seed, goal) pairs (bootstrap)")


def _means(record: Mapping[str, Any], metrics: Sequence[str]) -> Table:
    """Return what else was measured: means over the seeds."""
    arrow = {-1: "↓", 1: "↑", 0: ""}
    first = [_BRIEFLY.get(m, m.partition("/")[0]) for m in metrics]
    names = [f"{name}_{arrow[direction(m, record)]}".replace("_", "\n") for name, m in zip(first, metrics, strict=True)]
    table = _table("recipe", *names)
    table.collapse_padding = True
    for recipe, of in record["recipes"].items():
        table.add_row(plain(recipe), *(unit(m).whole(of[m]["mean"]) for m in metrics))
    return _titled(table, "means over the seeds (↑ more is better, ↓ less is)")


_BRIEFLY = {
    "validation_error": "error",
    "accuracy/last3": "last 3_rounds",
    "personal_accuracy/mean": "own_models",
    "personal_accuracy/weighted": "own,_weighted",
}
"""Metrics whose headings would not fit, or would read alike."""


def _costs(record: Mapping[str, Any], metrics: Sequence[str]) -> Table:
    """Return what each recipe takes: what nobody calls good or bad, time and memory."""
    seconds, memory = record.get("seconds") or {}, record.get("peak_memory_bytes") or {}
    table = _table("recipe", *(m.replace("_", " ") for m in metrics), "mean time", "peak memory")
    for recipe, of in record["recipes"].items():
        cost = (duration(seconds.get(recipe)), size(memory.get(recipe) or None))
        table.add_row(plain(recipe), *(unit(m).whole(of[m]["mean"]) for m in metrics), *cost)
    return table


def _difference(record: Mapping[str, Any], after: str) -> str:
    return f"difference to {middle(record['baseline'], 12)}" + (f"\n[95 %] in{after}" if after else " [95 %]")


def _bare(c: Cell) -> str:
    """Return a difference without its unit, which stands in the heading."""
    return c.words.removesuffix(c.unit.after)


def _titled(table: Table, title: str) -> Table:
    table.title = plain(title)
    table.title_justify = "left"
    return table


_STYLES = {"better": "green", "worse": "red"}
"""Colour of a verdict."""


def policy(summary: Mapping[str, Any]) -> Group:
    """Return success on each task and what a run of ``decide`` says."""
    from rich.console import Group

    given, unknown = (summary["success"].get(mode, {}).get("tasks", {}) for mode in ("given", "unknown"))
    stream, validation = summary["stream"], summary["validation"] or {}
    columns = {
        "success [95 %]": bool(given),
        "not told": bool(unknown),
        "learned": bool(stream),
        "return": bool(given),
        "error": bool(validation) and not given,
        "parameters": True,
    }
    table = _table("task", *(name for name, there in columns.items() if there))
    for place, task in enumerate(summary["tasks"]):
        name = task["name"]
        rate = given.get(name)
        cells = {
            "success [95 %]": f"{percent(rate['rate'])} {bounds(rate['low'], rate['high'])}" if rate else "–",
            "not told": percent(unknown[name]["rate"]) if name in unknown else "–",
            "learned": percent(stream["matrix"][place + 1][place]) if stream else "–",
            "return": value(rate["return"] if rate else None),
            "error": value(validation.get(name)),
            "parameters": short(summary["parameters"].get(name)),
        }
        table.add_row(plain(name), *(cells[column] for column, there in columns.items() if there))
    lines = [plain(f"• {line}", 1000) for line in policy_findings(summary)]
    lines.append(plain(f"{duration(totals(summary)['seconds'])}, peak memory {size(summary['peak_memory_bytes'])}"))
    return Group(table, *lines)


def diagnosis(record: Mapping[str, Any]) -> Group:
    """Return the sources of a pool, the tasks of a trajectory data set, clients or experts, and what stands out."""
    of = {"decide": _of_tasks, "federate": _of_clients, "merge": _of_experts}
    return of.get(record.get("stage", "select"), _of_sources)(record)


def _of_tasks(record: Mapping[str, Any]) -> Group:
    from rich.console import Group

    conflict, names = record["conflict"], record["conflict"]["tasks"]
    group_of = {task: i + 1 for i, tasks in enumerate((record["groups"] or {"groups": []})["groups"]) for task in tasks}
    table = _table(
        "task", "episodes", "success", "return", "most opposed to", "cosine", *(["group"] if group_of else [])
    )
    for place, task in enumerate(record["tasks"]):
        row = [x if j != place and x is not None else math.inf for j, x in enumerate(conflict["cosine"][place])]
        lowest = min(range(len(row)), key=row.__getitem__)
        table.add_row(
            plain(task["name"]),
            count(task["episodes"]),
            percent(task["success"]),
            brief(task["qualities"][0]["return"]["mean"]),
            plain(names[lowest], 24),
            cosine(row[lowest]),
            *([str(group_of.get(task["name"], "–"))] if group_of else []),
        )
    whole = (
        f"all pairs: mean cosine {cosine(conflict['mean_cosine'])}, {percent(conflict['opposed_pairs'])} opposed; "
        f"{percent(conflict['conflicting_share'])} of the weights oppose the mean; largest gradient "
        f"{brief(conflict['magnitude_ratio'])} times the smallest"
    )
    return Group(table, plain(whole, 400), *_advice(record))


def _of_clients(record: Mapping[str, Any]) -> Group:
    from rich.console import Group

    conflict, drift = record["conflict"], record["drift"]
    whole = (
        f"gradients of clients: mean cosine {cosine(conflict['mean_cosine'])}, {percent(conflict['opposed_pairs'])} of "
        f"the pairs opposed; one local training moves a client by {percent(drift['mean'] / (drift['model'] or 1))} of "
        "the model's length"
    )
    return Group(clients(record), plain(whole, 400), *_advice(record))


def clients(record: Mapping[str, Any]) -> Group:
    """Return the clients of a partition: how much each has, and of which classes most."""
    from rich.console import Group

    population, names = record["population"], record["classes"]
    table = _table("client", "examples", "classes", "distance", "most of")
    for client, size_ in enumerate(population["sizes"][:SOURCES]):
        held = sorted(zip(population["table"][client], names, strict=True), key=lambda pair: -pair[0])[:3]
        table.add_row(
            str(client),
            count(size_),
            f"{population['classes_held'][client]} of {len(names)}",
            brief(population["distance"][client]),
            plain(", ".join(f"{middle(name, 16)} {percent(n / size_)}" for n, name in held if n), 60),
        )
    return Group(
        table,
        *_more(len(population["sizes"]), "clients"),
        *(plain(f"• {line}", 400) for line in partition_findings(population)),
    )


def federation(summary: Mapping[str, Any]) -> Group:
    """Return what came out of a federated training: the headline, accuracy per class, what it says."""
    from rich.console import Group

    final, last3, personal = summary["final"], summary["last3"], summary["personal"]
    table = _table("accuracy", "last round", "mean of last 3")
    if final:
        for name, words in (("accuracy", "of all test examples"), ("balanced_accuracy", "mean over classes")):
            table.add_row(words, percent(final[name]), percent(last3[name]))
    if personal:
        table.add_row("own models, mean over clients", percent(personal["mean"]), "–")
    lines = [plain(f"• {line}", 400) for line in training_findings(summary)]
    cost = (
        f"{duration(sum(summary['seconds'].values()))} ({duration(summary['client_seconds'])} of clients), peak memory "
        f"{size(summary['peak_memory_bytes'])}"
    )
    return Group(table, *lines, plain(cost))


def compression(summary: Mapping[str, Any]) -> Group:
    """Return what is left of a model at each ratio, and what the run says."""
    from rich.console import Group

    name, dense, rows = summary["score"]["name"], summary["dense"], compression_points(summary)
    batches = list(rows[0]["speeds"])
    speeds = [f"speed\nat {batch}" for batch in batches]
    table = _table("ratio", "parameters", "left", "products\na token", "left", *([name] if name else []), *speeds)
    score = [told(name, dense["score"])] if name else []
    table.add_row("dense", short(dense["parameters"]), "", short(dense["macs"]), "", *score, *("" for _ in batches))
    for row in rows:
        left = [percent(row[f"{what}_left"]) for what in ("parameters", "macs")]
        score = [row["score"]] if name else []
        speed = [ratio(row["speeds"][batch], 1) for batch in batches]
        sizes = (short(row["parameters"]), left[0], short(row["macs"]), left[1])
        table.add_row(f"{row['ratio']:g}", *sizes, *score, *speed)
    lines = [plain(f"• {line}", 400) for line in compression_findings(summary)[len(rows) :]]
    noticed = [plain(f"noticed: {line}", 400) for line in summary["warnings"]]
    cost = f"{duration(sum(summary['seconds'].values()))}, peak memory {size(summary['peak_memory_bytes'])}"
    return Group(table, *lines, *noticed, plain(cost))


def removal_plan(record: Mapping[str, Any]) -> Group:
    """Return what a recipe would cut, layer by layer, and what calibration takes."""
    from rich.console import Group

    parts: list[Any] = []
    if record["sites"]:
        kept = [f"at\n{point['ratio']:g}" for point in record["points"] if point["kept"]]
        table = _table("layer", "units", "weights\neach", "products\neach", *kept)
        for place, site in enumerate(record["sites"]):
            stays = [count(point["kept"][place]) for point in record["points"] if point["kept"]]
            units = f"{count(site['units'])} {site['kind']}"
            table.add_row(plain(site["name"]), units, count(site["parameters"]), count(site["macs"]), *stays)
        parts.append(table)
    dense = record["dense"]
    parts.append(
        plain(
            f"{record['recipe']} on {record['architecture']}: {short(dense['parameters'])} parameters, "
            f"{short(dense['macs'])} multiplications per token of a sequence of {record['length']}",
            400,
        )
    )
    for point in record["points"]:
        if point["parameters"] is not None:
            said = f"{short(point['parameters'])} parameters and {short(point['macs'])} multiplications are left"
        elif point["blocks"] < record["blocks"]:
            said = f"{point['blocks']} of {record['blocks']} layers are left"
        else:
            said = "only a calibration tells how much of each layer is left"
        parts.append(plain(f"• at {point['ratio']:g} {said}"))
    parts += [plain(f"• {line}", 400) for line in record["notes"]]
    used = record["calibration"]
    parts.append(
        plain("no calibration is needed")
        if used is None
        else plain(
            f"calibration: up to {count(used['tokens'])} tokens in sequences of {used['length']}; "
            f"{size(used['states_bytes'])} for hidden states, {size(used['layer_bytes'])} for a layer, "
            f"{size(used['disk_bytes'])} on disk",
            400,
        )
    )
    return Group(*parts)


def _of_experts(record: Mapping[str, Any]) -> Group:
    from rich.console import Group

    noticed = [plain(f"noticed: {line}", 400) for line in record["warnings"]]
    worst = ", ".join(f"{layer} ({percent(x)})" for layer, x in most_conflict(record["layers"])[:3])
    return Group(
        _experts(record["experts"], record["model"]),
        plain(
            f"signs conflict in {percent(record['model']['sign_conflict'])} of the weights, most in layers {worst}", 400
        ),
        *noticed,
        *_advice(record),
    )


def _experts(names: Sequence[str], model: Mapping[str, Any]) -> Table:
    """Return how far each expert moved, and its cosine with every other."""
    others = list(range(len(names)))[:EXPERTS]
    table = _table("expert", "moved", *(f"cosine to\n{middle(names[j], 12)}" for j in others))
    for i, name in enumerate(names):
        row = (cosine(model["cosines"][i][j]) if i != j else "" for j in others)
        table.add_row(plain(name), percent(model["relative_norms"][i]), *row)
    return table


EXPERTS = 6
"""Most experts that a terminal compares with."""


def merged(summary: Mapping[str, Any]) -> Group:
    """Return what was merged, how the experts disagree, and what it cost."""
    from rich.console import Group

    names = [expert["name"] for expert in summary["experts"]]
    found = summary["disagreement"]
    lines = [plain(f"• {line}", 400) for line in merge_findings(summary)]
    noticed = [plain(f"noticed: {line}", 400) for line in summary["warnings"]]
    cost = f"{duration(sum(summary['seconds'].values()))}, peak memory {size(summary['peak_memory_bytes'])}"
    return Group(*([_experts(names, found["model"])] if found else []), *lines, *noticed, plain(cost))


def merge_preview(record: Mapping[str, Any]) -> Group:
    """Return what a merge would take."""
    from rich.console import Group

    moved, disk = record["bytes"], record["disk"]
    table = _table("what", "figure")
    table.add_row("parameters", f"{short(record['parameters'])} in {count(record['tensors'])} tensors")
    if "active_parameters" in record:
        table.add_row("at work for a token", f"at most {short(record['active_parameters'])}")
    table.add_row("read", f"{size(moved['read'])} ({record['passes']:.1f} passes over {size(moved['inputs'])})")
    table.add_row("written", f"{size(moved['written'])} in {count(record['models'] * record['files'])} files")
    table.add_row("disk", f"{size(disk['needed'])} of {size(disk['free'])} free")
    table.add_row("memory", size(record["memory"]))
    table.add_row("time without writing", f"about {duration(record['seconds'])} with {record['threads']} workers")
    of = {"copied": "taken from the base as they are", "tied": "left out, tied to the embedding"}
    lines = [plain(f"• {count(len(record[key]))} tensors {words}", 400) for key, words in of.items() if record[key]]
    lines += [
        plain(f"• {expert} has {count(len(names))} tensors that are left out, for instance {names[0]}", 400)
        for expert, names in record["dropped"]
    ]
    if disk["needed"] > disk["free"]:
        lines.append(plain("• the disk is too small: make room, or write a smaller --dtype"))
    return Group(table, *lines)


def messages(record: Mapping[str, Any]) -> Group:
    """Return the plan of a recipe: bytes per client and round first, then every array."""
    from rich.console import Group

    each, whole = record["bytes"], record["round"]
    table = _table("array", "", "numbers", "bytes", "what it is")
    for row in sorted(record["messages"], key=lambda row: list(_WHERE).index(row["where"])):
        words = (plain(row["name"].replace("_", " ")), _WHERE[row["where"]], count(row["numbers"]), size(row["bytes"]))
        table.add_row(*words, plain(row["why"], 200))
    table.columns[1].justify = table.columns[-1].justify = "left"
    table.columns[-1].no_wrap = False
    head = (
        f"{record['recipe']}, {record['network']['kind']} of {short(record['parameters']['shared'])} shared numbers: a "
        f"client is sent {size(each['down'])} and sends {size(each['up'])}; {record['active']} of {record['clients']} "
        f"clients, {size(whole['down'] + whole['up'])} per round"
    )
    kept = (
        f"kept by a client: {size(each['kept']) if each['kept'] else 'nothing'}; by the server beside the model: "
        f"{size(each['server']) if each['server'] else 'nothing'}; backward passes per local step: {record['backward']}"
    )
    return Group(plain(head, 400), table, plain(kept, 400), *(plain(f"• {line}", 400) for line in record["notes"]))


_WHERE = {"down": "↓ sent", "up": "↑ returned", "kept": "client keeps", "server": "server keeps"}


def _of_sources(record: Mapping[str, Any]) -> Group:
    from rich.console import Group
    from rich.text import Text

    table = _table("source", "documents", "of tokens", "bytes", "repeated", "near dup.", "eff. rank")
    ordered = sorted(record["sources"], key=lambda s: -s["tokens"])
    for s in ordered[:SOURCES]:
        table.add_row(
            plain(s["source"]),
            count(s["documents"]),
            percent(s["share"]),
            count(s["mean_length"]),
            percent(s["exact_duplicates"]),
            percent(s["near_duplicates"]),
            value(s["effective_rank"]),
        )
    lines: list[Text] = _more(len(ordered))
    if spectrum := record["spectrum"]:
        lines.append(
            Text(
                f"whole pool: effective rank {value(spectrum['effective_rank'])}, participation ratio "
                f"{value(spectrum['participation_ratio'])} of at most {spectrum['largest_rank']}"
            )
        )
    return Group(table, *lines, *_advice(record))


def _advice(record: Mapping[str, Any]) -> list[Text]:
    return [
        plain(f"• {item['finding']}" + (f"  → {', '.join(item['recipes'])}" if item["recipes"] else ""), 1000)
        for item in record["advice"]
    ] or [plain("nothing stands out; no recipe is advised")]


def pick_story(story: Mapping[str, Any]) -> Group:
    """Return why one document was taken or left."""
    from rich.console import Group

    table = _table("what", "figure")
    table.add_row("document", plain(story["id"]))
    table.add_row("source", plain(story["source"]))
    table.add_row("tokens", count(story["tokens"]))
    for name, score in story["quality"].items():
        table.add_row(plain(name), value(score))
    for name, gain in (story.get("terms") or {}).items():
        table.add_row(plain(f"gain: {name}"), value(gain))
    if near := story["nearest_pick"]:
        table.add_row("nearest other pick", plain(f"{near['id']} (rank {near['rank']}, cosine {near['cosine']:.3f})"))
    return Group(plain(story["because"], 400), table)


def _table(first: str, *others: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="ellipsis", no_wrap=True, max_width=36)
    for name in others:
        table.add_column(Text("\n").join(plain(line) for line in name.split("\n")), justify="right", no_wrap=True)
    return table


def _more(number: int, of: str = "sources") -> list[Text]:
    return [plain(f"… and {number - SOURCES} more {of}")] if number > SOURCES else []
