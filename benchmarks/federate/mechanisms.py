"""What the methods say they do inside a client, measured: ranks of features, angles of classes, directions of ascent.

rank: effective rank of the features of each class, and how the logits of missing classes spread, after the clients'
    last local training (FedMR decorrelates features within a class).
angles: cosine between the mean features of classes that a client has no example of, after its local training (a head
    of equal angles keeps them apart; a trained head lets them fall together).
ascent: cosine between the shift at which a client takes its gradient and the gradient of all clients' loss
    (FedLESAM's claim: two models of the server point closer to it than a client's own gradient does).

Fashion-MNIST as in ``benchmarks.federate.tables``; five seeds.

    python -m benchmarks.federate.mechanisms --what rank
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.federate.tables import as_run, data
from benchmarks.record import Record, options, single_threaded
from harmonia.core.run import Run
from harmonia.data.partitions import parse_partition
from harmonia.federate.batches import Batches, order_of
from harmonia.federate.engine import architecture
from harmonia.federate.engines.in_process import InProcess
from harmonia.federate.failure import handled
from harmonia.federate.messages import Job, Reply
from harmonia.federate.population import Population
from harmonia.federate.rounds import Rounds
from harmonia.maths.class_means import class_means, class_members
from harmonia.maths.spectrum import Scatter, effective_rank, eigenvalues

RATE = "training.learning_rate=0.02"
SETTINGS: dict[str, dict[str, Any]] = {
    "rank": {
        "partition": "pcdd:2",
        "clients": 10,
        "active": 10,
        "rounds": 24,
        "arms": {
            "fedavg": ("fedavg",),
            "feddecorr": ("feddecorr",),
            "fedmr-intra": ("fedmr-intra",),
            "fedmr-intra, mu .05": ("fedmr-intra", "loss.mu=0.05"),
        },
    },
    "angles": {
        "model": "cnn:64,rectified=false",  # after a ReLU no two features are more than 90 degrees apart
        "partition": "pcdd:2",
        "clients": 10,
        "active": 10,
        "rounds": 24,
        "arms": {
            "fedavg": ("fedavg",),
            "fedetf": ("fedetf",),
            "fedgela": ("fedgela",),
            "fedgela, s 4": ("fedgela", "head.scale=4"),
        },
    },
    "ascent": {
        "partition": "dirichlet:0.1",
        "clients": 20,
        "active": 5,
        "rounds": 20,
        "arms": {
            "fedsam": ("fedsam",),
            "fedlesam": ("fedlesam",),
            "fedlesam, server's memory": ("fedlesam", "perturb.memory=server"),
        },
    },
}


class Federation:
    """A federation led round by round, with a look inside.

    Args:
        given: partition, clients, active and rounds.
        arm: name of the recipe, and settings of it.
        seed: of the run.
        folder: of the run.
    """

    def __init__(self, given: dict[str, Any], arm: tuple[str, ...], seed: int, folder: Path) -> None:
        self.recipe = as_run(arm[0], (RATE, *arm[1:]))
        self.population = Population.of(data(), parse_partition(given["partition"]), given["clients"], seed)
        self.work = Rounds(
            Run.start(folder, self.recipe, {"references": []}),
            self.recipe,
            self.population,
            architecture(given.get("model", "cnn")),
            rounds=given["rounds"],
            active=given["active"],
            every=given["rounds"],
            personal=False,
            on_failure="abort",
            seed=seed,
            device="cpu",
        )
        self.engine = InProcess(self.work.clients, self.work.store)
        self.rounds, self.seed = given["rounds"], seed

    def step(self) -> None:
        """Lead one round."""
        coordinator = self.work.coordinator
        coordinator.take(handled(self.engine, coordinator.jobs(), coordinator.model, "abort"))

    def trained(self) -> list[tuple[int, torch.Tensor]]:
        """Return every client's model after one more local training from the last average."""
        coordinator, rest = self.work.coordinator, self.work.clients.first[self.work.model.shared.stop :]
        sent = coordinator.sent()
        jobs = [Job(0, client, self.rounds + 1, coordinator.model, sent) for client in range(self.population.clients)]
        replies = [reply for reply in self.engine.run(jobs) if isinstance(reply, Reply)]
        return [(reply.client, torch.cat([reply.model, rest])) for reply in replies]

    def features(self, vector: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """Return features of training examples, in evaluation mode."""
        clients = self.work.clients
        self.work.model.network.module.eval()
        with torch.no_grad():
            return self.work.model.features(vector[None], clients.inputs[rows][None])[0]


def rank(federation: Federation) -> dict[str, float]:
    """Return effective rank within a class, and the spread of logits of missing classes, over clients."""
    for _ in range(federation.rounds):
        federation.step()
    ranks, spreads = [], []
    for client, vector in federation.trained():
        rows = federation.population.train[client]
        labels = federation.work.clients.labels[rows]
        features = federation.features(vector, rows)
        counts = federation.work.clients.counts([client])
        for c in range(federation.work.model.classes):
            mine = features[labels == c].double().numpy()
            if len(mine) > 1:
                ranks.append(effective_rank(eigenvalues(Scatter.of(mine).covariance())))
        logits = federation.work.model.logits(vector[None], features[None], counts, "local")[0]
        missing = logits[:, counts[0] == 0].mean(dim=0)
        spreads.append(float(missing.std()))
    return {"effective rank within a class": float(np.mean(ranks)), "spread of missing logits": float(np.mean(spreads))}


def angles(federation: Federation) -> dict[str, float]:
    """Return the mean cosine between features of classes: missing ones of a client, and present ones."""
    for _ in range(federation.rounds):
        federation.step()
    model, found = federation.work.model, dict[str, list[float]](missing=[], present=[])
    held = federation.work.judge
    for client, vector in federation.trained():
        model.network.module.eval()
        with torch.no_grad():
            features = model.features(vector[None], held.inputs[None])[0]
        means, _ = class_means(features, class_members(held.labels, model.classes))
        centred = means - means.mean(dim=0)
        cosines = torch.nn.functional.normalize(centred, dim=1) @ torch.nn.functional.normalize(centred, dim=1).T
        has = federation.work.clients.counts([client])[0] > 0
        for word, mask in (("missing", ~has), ("present", has)):
            block = cosines[mask][:, mask]
            found[word].append(float(block[~torch.eye(len(block), dtype=torch.bool)].mean()))
    return {f"cosine of {word} classes": float(np.mean(each)) for word, each in found.items()}


def ascent(federation: Federation) -> dict[str, float]:
    """Return the mean cosine of a client's shift to the gradient of the loss of all."""
    clients, coordinator = federation.work.clients, federation.work.coordinator
    sample = np.random.default_rng(federation.seed).permutation(len(clients.labels))[:4096]
    found = []
    for number in range(federation.rounds):
        if number >= 4:  # before, most clients have no memory to point from
            whole = gradient(federation, coordinator.model[None], sample)[0]
            for job in coordinator.jobs():
                held = federation.work.store.get(job.client)
                orders = [
                    order_of(clients.rows[job.client], federation.recipe.training, clients.seed, job.round, job.client)
                ]
                stack = clients.stack([job], [held], Batches.of(orders))
                shift = federation.recipe.perturb.begin(stack).constant
                if shift is None:  # SAM: along the gradient of the first batch
                    shift = gradient(federation, job.model[None], orders[0][0])
                if float(shift.norm()) > 0:
                    found.append(float(torch.nn.functional.cosine_similarity(shift[0], whole, dim=0)))
        federation.step()
    return {"cosine to the gradient of all": float(np.mean(found))}


def gradient(federation: Federation, vectors: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    """Return the gradient of the mean loss of these training examples: (1, P)."""
    clients = federation.work.clients
    labels = clients.labels[rows]

    def losses(features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits[0], labels)[None]

    counts = clients.counts([0])
    return federation.work.model.differentiate(vectors, clients.inputs[rows][None], counts, losses)[1]


MEASURES = {"rank": rank, "angles": angles, "ascent": ascent}


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--what", choices=MEASURES, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--partition", help="instead of the usual one")
    parser.add_argument("--active", type=int, help="clients in a round, instead of the usual number")
    given = parser.parse_args()
    single_threaded(given.threads)
    asked = dict(SETTINGS[given.what])
    asked |= {key: value for key in ("partition", "active") if (value := getattr(given, key)) is not None}
    setting = {key: asked[key] for key in ("partition", "clients", "active", "rounds")}
    words = (given.what, asked["partition"].replace(":", "_"), asked["active"])
    record = Record(
        "_".join(map(str, ("federate", *words))), f"{given.what}: mean ± deviation over {given.seeds} seeds", setting
    )
    for name, arm in asked["arms"].items():
        each: list[dict[str, float]] = []
        for seed in range(given.seeds):
            with tempfile.TemporaryDirectory() as folder:
                federation = Federation(asked, arm, seed, Path(folder) / "run")
                each.append(MEASURES[given.what](federation))
        summary = {
            key: f"{np.mean([one[key] for one in each]):.3f} ± {np.std([one[key] for one in each], ddof=1):.3f}"
            for key in each[0]
        }
        record.add(recipe=name, **summary)
    record.save(given.out)


if __name__ == "__main__":
    main()
