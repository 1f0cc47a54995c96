"""``harmonia federate``: one model from clients that keep their examples; and ``harmonia federate plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from harmonia.cli.clients import Dealt, LocalTraining, Schedule
from harmonia.cli.common import Speech, Work, recipe_name

if TYPE_CHECKING:
    from rich.console import Group

app = App(name="federate")


@app.default
def federate(
    data: str,
    *,
    recipe: str = "fedavg",
    dealt: Annotated[Dealt | None, Parameter(name="*")] = None,
    schedule: Annotated[Schedule | None, Parameter(name="*")] = None,
    local: Annotated[LocalTraining | None, Parameter(name="*")] = None,
    personal: bool = True,
    engine: str = "auto",
    timeout: float | None = None,
    on_failure: str = "abort",
    device: str = "cpu",
    work: Annotated[Work | None, Parameter(name="*")] = None,
) -> None:
    """Train one model with clients that keep their examples.

    Writes RUN/result/model (config.json, model.safetensors), rounds.parquet (one row per round) and summary.json.
    In Python, harmonia.federate.load("RUN").predict(inputs) classifies.

    Two classes per client, and a head made for that:

        harmonia federate digits --clients 10 --partition pcdd:2 --recipe fedgela --rounds 50 --out run

    A recipe is one choice per slot: head, loss, perturb, drift, schedule, weight, server. Mix them:

        harmonia federate digits --recipe fedavg --set loss=mr perturb=lesam head=gela schedule=skip:5

    Before that: `harmonia diagnose digits --clients 10 --partition pcdd:2` says how clients disagree and which recipes
    address it, `harmonia federate plan digits --recipe scaffold` what would be sent. After it:
    `harmonia compare federate digits --recipes fedavg,fedgela` says whether it helps.

    Parameters
    ----------
    data
        digits, fashion-mnist or mnist; a labelled text of `harmonia data list`; a folder of images, class/name.png or
        domain/class/name.png; or a table with a label column.
    recipe
        A recipe's name (`harmonia recipes federate`) or a YAML file.
    personal
        Train every client once more from the final model, and judge it on the client's own test examples.
    engine
        Where clients run: loop (one after another), vmap (several in one pass), processes, flower; auto measures.
    timeout
        Seconds in which a round's answers must come, with processes or flower; who is later did not answer.
    on_failure
        When a client does not answer or sends what cannot be used: abort the run, drop the client for the round, or
        retry it once and then drop it.
    device
        cpu, cuda, or auto.
    """
    work = work or Work()
    work.begin()
    from harmonia.federate.engine import federate as run

    result = run(
        data,
        recipe,
        **(dealt or Dealt()).named(),
        **vars(schedule or Schedule()),
        settings=(local or LocalTraining()).settings(work.set),
        seed=work.seed,
        personal=personal,
        engine=engine,
        workers=work.workers,
        timeout=timeout,
        on_failure=on_failure,
        device=device,
        out=work.folder(f"federate-{recipe_name(recipe)}"),
        resume=work.resume,
    )
    summary = result.summary
    final = summary["final"] or {}
    record: dict[str, Any] = {
        "run": str(result.folder),
        "model": str(result.folder / "result" / "model"),
        "accuracy": final.get("accuracy"),
        "balanced_accuracy": final.get("balanced_accuracy"),
        **{
            key: summary[key]
            for key in (
                "last3",
                "personal",
                "recipe",
                "rounds",
                "averages",
                "bytes",
                "client_seconds",
                "parameters",
                "seconds",
                "peak_memory_bytes",
            )
        },
    }
    if work.report:
        record["report"] = str(result.report())

    def shown() -> Group:
        from rich.console import Group

        from harmonia.report.terminal import federation

        return Group(
            federation(summary), *(f"{name}: {record[name]}" for name in ("model", "report") if name in record)
        )

    work.say(record, shown)


@app.command
def deploy(
    data: str,
    *,
    recipe: str = "fedavg",
    clients: int = 3,
    partition: str = "dirichlet:0.5",
    rounds: int = 10,
    active: float = 1.0,
    model: str | None = None,
    label: str | None = None,
    port: int | None = None,
    timeout: float = 600.0,
    on_failure: str = "abort",
    epsilon: float | None = None,
    delta: float = 1e-5,
    noise: float | None = None,
    clip: float = 1.0,
    work: Annotated[Work | None, Parameter(name="*")] = None,
) -> None:
    """Run a federation on Flower: a server and a node per client, processes of their own, over TLS with node keys.

    The same recipe as in `harmonia federate`, on this machine's loopback; RUN/project is a Flower app that plain
    `flwr run` takes to other machines. Called again with the same folder it goes on from its last round.

        harmonia federate deploy digits --recipe scaffold --clients 3 --rounds 5 --out deployed

    Parameters
    ----------
    data
        Labelled examples, as of `harmonia federate`; every node takes its client's part.
    recipe
        A recipe's name or a YAML file.
    clients
        How many nodes there are.
    partition
        How examples are dealt to them.
    rounds
        How many.
    active
        Share of the clients that take part in a round.
    model
        Network: cnn, mlp, linear or text-bag.
    label
        Column of the labels.
    port
        Of the server; a free one by default.
    timeout
        Seconds in which a round's answers must come.
    on_failure
        When a client does not answer in time or sends what cannot be used: abort, drop or retry.
    epsilon
        Local privacy: clients clip their change and add noise before anything is sent, epsilon per participation.
    delta
        Of local privacy.
    noise
        Central privacy: the server clips changes and adds noise of so many clip lengths to their average.
    clip
        Longest change of a client, with either.
    """
    work = work or Work()
    work.begin()
    from harmonia.core.errors import InputError
    from harmonia.federate.classifier import load
    from harmonia.federate.engine import examples_of, network_for
    from harmonia.federate.flower.deployment import deploy as run
    from harmonia.federate.flower.privacy import CentralPrivacy, LocalPrivacy
    from harmonia.federate.flower.setup import Setup
    from harmonia.federate.recipes import BOOK

    if epsilon is not None and noise is not None:
        raise InputError("--epsilon is local privacy and --noise central: take one of them")
    examples = examples_of(data, label)
    setup = Setup.of(
        BOOK.load(recipe).with_settings(work.set or ()),
        network_for(examples, model),
        examples,
        data=data,
        label=label or "",
        partition=partition,
        clients=clients,
        active=active,
        rounds=rounds,
        seed=work.seed,
        timeout=timeout,
        on_failure=on_failure,
        out="",
    )
    folder = run(
        work.folder(f"deployed-{recipe_name(recipe)}"),
        setup,
        port=port,
        local=None if epsilon is None else LocalPrivacy(clip, epsilon, delta),
        central=None if noise is None else CentralPrivacy(noise, clip),
    )
    right = load(folder).predict(examples.test.inputs) == examples.test.labels
    accuracy = float(right.mean())
    record = {"run": str(folder), "model": str(folder / "result" / "model"), "accuracy": accuracy}

    def shown() -> Group:
        from rich.console import Group

        return Group(f"accuracy {100 * accuracy:.1f} %  {record['model']}")

    work.say(record, shown)


@app.command
def plan(
    data: str,
    *,
    recipe: str = "fedavg",
    clients: int = 10,
    active: float = 1.0,
    model: str | None = None,
    label: str | None = None,
    size: int | None = None,
    set: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative="")] = None,
    speech: Annotated[Speech | None, Parameter(name="*")] = None,
) -> None:
    """Say what a recipe keeps and sends, array by array, and refuse parts that do not go together; nothing is trained.

    What control variates cost, with ten of a hundred clients in a round:

        harmonia federate plan digits --recipe scaffold --clients 100 --active 0.1

    Parameters
    ----------
    data
        Labelled examples, as of `harmonia federate`; their shape and classes decide the sizes.
    recipe
        A recipe's name (`harmonia recipes federate`) or a YAML file.
    clients
        How many there are.
    active
        Share of the clients that take part in a round; at least one does.
    model
        Network: cnn, mlp, linear or text-bag.
    label
        Column of the labels.
    size
        Sides that images are brought to.
    set
        Change a part: axis.field=value, or exchange it: loss=mr; repeatable.
    """
    speech = speech or Speech()
    speech.begin()
    from harmonia.federate.preview import plan as made

    record = made(data, recipe, clients=clients, active=active, model=model, label=label, size=size, settings=set or ())

    def shown() -> Group:
        from harmonia.report.terminal import messages

        return messages(record)

    speech.say(record, shown)
