"""``harmonia diagnose``: how the sources of some data disagree."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from harmonia.cli.clients import Dealt
from harmonia.cli.common import Documents, Engine, Work
from harmonia.core.errors import InputError

_KINDS = {"select": "documents", "federate": "labelled examples of clients", "merge": "models"}


def diagnose(
    *data: str,
    features: str = "hashing",
    tasks: str | None = None,
    dealt: Dealt | None = None,
    model: str | None = None,
    experts: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    base: str | None = None,
    documents: Documents | None = None,
    engine: Engine | None = None,
    work: Work | None = None,
) -> None:
    """Measure how the sources of some data disagree, before any compute is spent on training.

    Documents: sizes, duplicates within and between sources, effective rank, overlap, collapse. Trajectories: how the
    gradients of tasks meet after a short training, which tasks group together, how returns overlap. Labelled examples,
    dealt to clients: which classes each lacks, how their gradients meet, how far local training takes them apart. And
    the recipes that address what was found, with the figures that made it say so. Models, fine-tunes of one base: in
    which directions each moved, by layer and tensor, and where their signs conflict.

        harmonia diagnose digits --clients 10 --partition dirichlet:0.1
        harmonia diagnose --experts law code mail --base smollm

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
    experts
        Folders or Hub ids of models or adapters, to be compared with each other.
    base
        Experts: the model that they were trained from.
    """
    documents, engine, work = documents or Documents(), engine or Engine(), work or Work()
    clients = {**(dealt or Dealt()).named(), **({} if model is None else {"model": model})}
    work.begin()
    from harmonia.cli.pool import inputs_of
    from harmonia.report.pages import report as write
    from harmonia.report.terminal import diagnosis
    from harmonia.stages import find_stage, stage_of_data

    if not data and not experts:
        raise InputError("name the data: harmonia diagnose FOLDER")
    if data and experts:
        raise InputError(f"--experts are models, and {data[0]} is data: name one of them")
    # the stages of clients and of experts know their data sets by name
    places = experts or (list(data) if clients or base else inputs_of(data))
    stage = find_stage("merge") if experts or base else stage_of_data(places, clients=bool(clients))
    folder = work.folder("diagnose")
    settings: dict[str, Any] = {"seed": work.seed, "out": folder, "resume": work.resume, "settings": work.set or ()}
    if tasks is not None and stage.name != "decide":
        raise InputError(f"--tasks is for trajectories; these are {_KINDS[stage.name]}")
    if stage.name == "select":
        reading = documents.reading()
        settings |= {"features": features, "engine": engine.engine, "workers": work.workers, **reading}
    elif stage.name == "decide":
        settings["tasks"] = tasks
    elif stage.name == "merge":
        settings |= {"base": base, "threads": work.workers}
    record = stage.diagnose(places, **settings, **clients)
    if work.report:
        write(folder)
    work.say({"run": str(folder), **record}, lambda: diagnosis(record))
