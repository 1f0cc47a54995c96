"""``harmonia diagnose``: how the sources of some data disagree."""

from __future__ import annotations

from typing import Any

from harmonia.cli.clients import Dealt
from harmonia.cli.common import Documents, Engine, Work
from harmonia.core.errors import InputError

_KINDS = {"select": "documents", "federate": "labelled examples of clients"}


def diagnose(
    *data: str,
    features: str = "hashing",
    tasks: str | None = None,
    dealt: Dealt | None = None,
    model: str | None = None,
    documents: Documents | None = None,
    engine: Engine | None = None,
    work: Work | None = None,
) -> None:
    """Measure how the sources of some data disagree, before any compute is spent on training.

    Documents: sizes, duplicates within and between sources, effective rank, overlap, collapse. Trajectories: how the
    gradients of tasks meet after a short training, which tasks group together, how returns overlap. Labelled examples,
    dealt to clients: which classes each lacks, how their gradients meet, how far local training takes them apart. And
    the recipes that address what was found, with the figures that made it say so.

        harmonia diagnose digits --clients 10 --partition dirichlet:0.1

    Parameters
    ----------
    data
        Files, folders, globs or URLs of documents; or a dataset of `harmonia data list`; or the folder of a trajectory
        data set; or labelled examples, as of `harmonia federate`.
    features
        Documents: how they become vectors: hashing, static, sentence-transformers, given, ...; its fields by
        --set features.field=value.
    tasks
        Trajectories: which tasks, names or a named set; all when left out.
    model
        Clients: the network that is trained briefly: cnn, mlp, linear or text-bag.
    """
    documents, engine, work = documents or Documents(), engine or Engine(), work or Work()
    clients = {**(dealt or Dealt()).named(), **({} if model is None else {"model": model})}
    work.begin()
    from harmonia.cli.pool import inputs_of
    from harmonia.report.pages import report as write
    from harmonia.report.terminal import diagnosis
    from harmonia.stages import stage_of_data

    if not data:
        raise InputError("name the data: harmonia diagnose FOLDER")
    # the stage of clients knows its data sets by name
    places = list(data) if clients else inputs_of(data)
    stage = stage_of_data(places, clients=bool(clients))
    folder = work.folder("diagnose")
    settings: dict[str, Any] = {"seed": work.seed, "out": folder, "resume": work.resume, "settings": work.set or ()}
    if tasks is not None and stage.name != "decide":
        raise InputError(f"--tasks is for trajectories; these are {_KINDS[stage.name]}")
    if stage.name == "select":
        reading = documents.reading()
        settings |= {"features": features, "engine": engine.engine, "workers": work.workers, **reading}
    elif stage.name == "decide":
        settings["tasks"] = tasks
    record = stage.diagnose(places, **settings, **clients)
    if work.report:
        write(folder)
    work.say({"run": str(folder), **record}, lambda: diagnosis(record))
