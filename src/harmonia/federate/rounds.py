"""A run at work: round after round, judged on the way, stored after each, written at the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harmonia.core.arrays import read_arrays, write_arrays
from harmonia.core.citation import entries
from harmonia.core.files import atomic, read_json, write_json
from harmonia.core.measure import peak_memory_bytes
from harmonia.core.progress import bar
from harmonia.core.run import Run
from harmonia.federate.classifier import Classifier
from harmonia.federate.clients import Clients
from harmonia.federate.coordinator import Coordinator, RoundFacts
from harmonia.federate.engines import start_engine
from harmonia.federate.engines.in_process import InProcess
from harmonia.federate.failure import checked, handled
from harmonia.federate.judge import Exam, Judge
from harmonia.federate.messages import Job, Reply
from harmonia.federate.model import first_model
from harmonia.federate.planner import Plan
from harmonia.federate.population import Population
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.references import REFERENCES
from harmonia.federate.store import ClientStore
from harmonia.models.train_lm import best_device

if TYPE_CHECKING:
    from harmonia.federate.engines.base import Engine
    from harmonia.models.classifiers import Architecture


class Rounds:
    """Leads the rounds of a run; what was done before an interruption is read back from the run's folder.

    Args are those of ``harmonia.federate``; ``active`` is a number of clients.
    """

    def __init__(
        self,
        run: Run,
        recipe: FederateRecipe,
        population: Population,
        network: Architecture,
        *,
        rounds: int,
        active: int,
        every: int,
        personal: bool,
        on_failure: str,
        seed: int,
        device: str,
    ) -> None:
        self.run, self.population, self.network, self.seed = run, population, network, seed
        self.rounds, self.every, self.wants_personal, self.on_failure = rounds, every, personal, on_failure
        data, place = population.data, best_device(device)
        shape = tuple(data.train.inputs.shape[1:])
        self.model = first_model(network, recipe.head, shape, len(data.classes), seed, place)
        self.plan = Plan.of(recipe, self.model.sizes)
        for line in self.plan.notes:
            run.warn(line)
        test = data.test
        self.judge = Judge(self.model, torch.from_numpy(test.inputs).to(place), torch.from_numpy(test.labels).to(place))
        self.clients = Clients(
            self.model,
            self.plan.recipe,
            self.plan,
            torch.from_numpy(data.train.inputs).to(place),
            torch.from_numpy(data.train.labels).to(place),
            dict(enumerate(population.train)),
            seed,
            Exam(self.judge, dict(enumerate(population.test))),
        )
        self.store = ClientStore(run.state / "clients")
        self.coordinator = Coordinator(
            self.plan, self.model.initial()[self.model.shared].to(place), population.clients, active, rounds, seed
        )
        self.history: list[dict[str, Any]] = []
        self._recall()

    # -- the rounds ---------------------------------------------------------------------------------------------

    def lead(self, engine: str, workers: int | None, timeout: float | None = None) -> None:
        """Run the rounds that are left, then judge what came out."""
        with start_engine(engine, workers, self.clients, self.store, timeout) as running:
            with self.run.phase("training"), bar("rounds", self.rounds) as advance:
                advance(self.coordinator.round, self._last_accuracy())
                while self.coordinator.round < self.rounds:
                    self._round(running)
                    advance(1, self._last_accuracy())
            with self.run.phase("judging"):
                self.personal = self._judge_clients(running) if self.wants_personal else None

    def _round(self, engine: Engine) -> None:
        jobs = self.coordinator.jobs()
        answers = handled(engine, jobs, self.coordinator.model, self.on_failure)
        facts = self.coordinator.take(answers)
        for lost in facts.lost:
            self.run.warn(f"round {lost.round}: client {lost.client} {lost.why}")
        last = facts.round == self.rounds
        judged = facts.averaged and (facts.round % self.every == 0 or last) and not self.model.part.private
        scores = self.judge.scores(self._global()) if judged else {}
        self.history.append(self._row(facts, scores))
        self._store()
        self.run.log("round", **{k: v for k, v in self.history[-1].items() if not isinstance(v, list)})

    def _last_accuracy(self) -> str | None:
        """Return the accuracy of the last model that was judged, for the bar."""
        judged = [row["accuracy"] for row in self.history if row["accuracy"] is not None]
        return f"accuracy {100 * judged[-1]:.1f} %" if judged else None

    def _row(self, facts: RoundFacts, scores: dict[str, Any]) -> dict[str, Any]:
        each = facts.facts
        count = len(facts.clients)
        return {
            "round": facts.round,
            "averaged": facts.averaged,
            "clients": facts.clients,
            "lost": [lost.client for lost in facts.lost],
            "loss": float(np.mean([f["loss"] for f in each])),
            "drift": float(np.mean([f["drift"] for f in each])),
            "bytes_down": (count + len(facts.lost)) * self.plan.bytes_of("down"),
            "bytes_up": count * self.plan.bytes_of("up"),
            "client_seconds": float(sum(f["seconds"] for f in each)),
            "accuracy": scores.get("accuracy"),
            "balanced_accuracy": scores.get("balanced_accuracy"),
            "test_loss": scores.get("loss"),
            "sharpness": scores.get("sharpness"),
            "per_class": scores.get("per_class"),
        }

    def _global(self) -> torch.Tensor:
        """Return the whole vector of the global model; its head, where it does not travel, is the first one."""
        rest = self.clients.first[self.model.shared.stop :]
        return torch.cat([self.coordinator.model, rest.to(self.coordinator.model)])

    def _judge_clients(self, engine: Engine) -> list[float | None]:
        """Return each client's accuracy on its own test examples, after local training from the final model."""
        path = self.run.state / "personal.json"
        if not path.exists():
            number, sent, model = self.rounds + 1, self.coordinator.sent(), self.coordinator.model
            jobs = [Job(0, client, number, model, sent, judge=True) for client in range(self.population.clients)]
            judging = engine if engine.examines else InProcess(self.clients, self.store)
            answers = (checked(answer, model) for answer in judging.run(jobs))
            scores = {answer.client: answer.facts["accuracy"] for answer in answers if isinstance(answer, Reply)}
            known = {client: score for client, score in scores.items() if not np.isnan(score)}
            write_json(path, {"accuracy": [known.get(client) for client in range(self.population.clients)]})
        found: list[float | None] = read_json(path)["accuracy"]
        return found

    # -- keeping ------------------------------------------------------------------------------------------------

    def _store(self) -> None:
        """Store the server's state; with it every client's that it names."""
        path = self.run.state / "server.safetensors"
        said = json.dumps({"clients": list(self.store.rounds.items()), "history": self.history}).encode()
        write_arrays(path, {**self.coordinator.state(), "said": np.frombuffer(said, np.uint8)})
        self.store.commit()

    def _recall(self) -> None:
        path = self.run.state / "server.safetensors"
        if not path.exists():
            return
        state = read_arrays(path)
        said = json.loads(state.pop("said").tobytes())
        self.coordinator.restore(state)
        self.store.restore({int(client): int(round) for client, round in said["clients"]})
        self.history = said["history"]

    # -- what the user came for -----------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the model, the rounds as one tidy table, and the summary."""
        import polars

        run, data = self.run, self.population.data
        final = self._global()
        classifier = Classifier(
            self.plan.recipe,
            self.network,
            tuple(data.train.inputs.shape[1:]),
            data.classes,
            final.cpu().numpy(),
            self.seed,
        )
        classifier.save(run.result / "model")
        if self.model.part.personal:
            write_arrays(run.result / "model" / "clients.safetensors", self._own())
        rows = [{k: v for k, v in row.items() if k not in ("clients", "lost", "per_class")} for row in self.history]
        kinds = dict.fromkeys(("accuracy", "balanced_accuracy", "test_loss", "sharpness"), polars.Float64)
        with atomic(run.result / "rounds.parquet") as temporary:
            polars.DataFrame(rows, schema_overrides=kinds).write_parquet(temporary)
        write_json(run.result / "summary.json", self.summary())

    def _own(self) -> dict[str, np.ndarray]:
        """Return what makes a client's model its own: examples per class, (N, C), and its head where it has one."""
        every = range(self.population.clients)
        found = {"counts": self.clients.counts(list(every)).cpu().numpy()}
        if self.model.part.private:
            first = self.clients.first[self.model.shared.stop :].cpu().numpy()
            kept = (self.store.get(client) for client in every)
            found["heads"] = np.stack([first if held is None else held["head"] for held in kept])
        return found

    def summary(self) -> dict[str, Any]:
        """Return what was measured."""
        judged = [row for row in self.history if row["accuracy"] is not None]
        last = judged[-3:]
        run, recipe = self.run, self.plan.recipe
        personal = None
        if self.personal is not None:
            sizes = np.array([len(rows) for rows in self.population.test], float)
            each = np.array(self.personal, float)
            known = ~np.isnan(each)
            personal = {
                "clients": self.personal,
                "mean": float(each[known].mean()) if known.any() else None,
                "weighted": float((each * sizes)[known].sum() / sizes[known].sum()) if known.any() else None,
            }
        return {
            "stage": "federate",
            "recipe": recipe.name,
            "axes": {axis: part.kind_name() for axis, part in recipe.choices().items()},
            "seed": self.seed,
            "data": self.population.data.name,
            "classes": list(self.population.data.classes),
            "population": self.population.summary(),
            "network": self.network.model_dump(mode="json"),
            "parameters": {"shared": self.plan.sizes.shared, "private": self.plan.sizes.private},
            "messages": self.plan.table(),
            "rounds": len(self.history),
            "averages": sum(row["averaged"] for row in self.history),
            "final": judged[-1] if judged else None,
            "last3": {key: float(np.mean([row[key] for row in last])) for key in ("accuracy", "balanced_accuracy")}
            if last
            else None,
            "personal": personal,
            "history": self.history,
            "bytes": {way: sum(row[f"bytes_{way}"] for row in self.history) for way in ("down", "up")},
            "client_seconds": sum(row["client_seconds"] for row in self.history),
            "seconds": {name: round(value, 3) for name, value in run.seconds.items()},
            "peak_memory_bytes": peak_memory_bytes(),
            "warnings": run.warnings,
            "cite": entries(run.request["references"], REFERENCES),
        }
