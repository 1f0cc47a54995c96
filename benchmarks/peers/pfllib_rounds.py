"""PFLlib's own federated averaging, for the time of a round: the same network, examples and steps.

PFLlib is no package: give the folder ``system`` of a checkout. Its loop is run as it is, in a temporary folder with the
clients' files as it wants them; its own clock is read, and the first round, in which it evaluates, is left out.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from harmonia.data.labelled import Labelled
from harmonia.federate.engine import architecture

NEVER = 10**9


def pfllib_seconds(given: Any, data: Labelled) -> list[float]:
    """Return the seconds of every round but the first."""
    shape, classes = tuple(data.train.inputs.shape[1:]), len(data.classes)
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(_prepared(Path(name), given, data)):
        sys.path.insert(0, str(given.pfllib.absolute()))
        from flcore.servers.serveravg import FedAvg

        part = architecture(given.model)
        torch.manual_seed(0)
        network = torch.nn.Sequential(part.build(shape), torch.nn.Linear(part.features, classes))
        with contextlib.redirect_stdout(io.StringIO()):
            server = FedAvg(_arguments(given, network, classes), 0)
            server.train()
        found: list[float] = server.Budget[1:]
        return found


def _prepared(folder: Path, given: Any, data: Labelled) -> Path:
    """Write a file per client, as PFLlib reads them; return the folder to work in."""
    for part in ("train", "test"):
        (folder / "dataset" / "images" / part).mkdir(parents=True)
    work = folder / "system"
    work.mkdir()
    rows = np.array_split(np.arange(len(data.train)), given.clients)
    for client, own in enumerate(rows):
        for part, count in (("train", None), ("test", 10)):
            x = data.train.inputs[own[:count]].astype(np.float32) / 127.5 - 1
            record = {"x": x, "y": data.train.labels[own[:count]]}
            np.savez(folder / "dataset" / "images" / part / f"{client}.npz", data=np.array(record, dtype=object))
    (work / "models").mkdir()
    return work


def _arguments(given: Any, network: torch.nn.Module, classes: int) -> SimpleNamespace:
    return SimpleNamespace(
        model=network,
        device="cpu",
        dataset="images",
        num_classes=classes,
        global_rounds=given.rounds,
        local_epochs=1,
        batch_size=given.batch,
        local_learning_rate=0.02,
        num_clients=given.clients,
        join_ratio=1.0,
        random_join_ratio=False,
        few_shot=0,
        algorithm="FedAvg",
        time_select=False,
        goal="time",
        time_threthold=NEVER,
        save_folder_name="saved",
        top_cnt=NEVER,
        auto_break=False,
        eval_gap=NEVER,
        client_drop_rate=0.0,
        train_slow_rate=0.0,
        send_slow_rate=0.0,
        dlg_eval=False,
        dlg_gap=NEVER,
        batch_num_per_client=0,
        num_new_clients=0,
        fine_tuning_epoch_new=0,
        learning_rate_decay=False,
        learning_rate_decay_gamma=1.0,
    )
