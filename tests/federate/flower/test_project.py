"""A project that Flower accepts, whose modules are the apps."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr")

import importlib.util

import numpy as np
from flwr.cli.build import build_fab_from_disk
from flwr.cli.config_utils import load_and_validate
from flwr.clientapp import ClientApp
from flwr.common.config import get_fab_config
from flwr.serverapp import ServerApp
from tests.federate.flower.federation import recipe_of

from harmonia.core.errors import InputError
from harmonia.data.labelled import open_labelled
from harmonia.federate.flower.privacy import CentralPrivacy, LocalPrivacy
from harmonia.federate.flower.project import MODULE, write_project
from harmonia.federate.flower.setup import Setup
from harmonia.models.classifiers import MLP


def setup_of(folder, *settings):
    np.savez(folder / "v.npz", x=np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32), y=np.arange(30) % 3)
    given = {"data": str(folder / "v.npz"), "label": 'q"ü\n', "clients": 2, "rounds": 1, "out": "/runs/one"}
    return Setup.of(recipe_of("fedavg", *settings), MLP(features=4), open_labelled(folder / "v.npz"), **given)


def app_of(project, name):
    spec = importlib.util.spec_from_file_location(f"made.{name}", project / MODULE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


def test_flower_accepts_the_project(tmp_path):
    project = write_project(tmp_path / "project", setup_of(tmp_path))
    load_and_validate(project / "pyproject.toml")
    assert get_fab_config(build_fab_from_disk(project))["tool"]["flwr"]["app"]["publisher"] == "harmonia"


def test_the_settings_come_back(tmp_path):
    setup = setup_of(tmp_path)
    config, _ = load_and_validate(write_project(tmp_path / "project", setup) / "pyproject.toml")
    assert Setup.read(config["tool"]["flwr"]["app"]["config"]) == setup


def test_the_modules_are_the_apps(tmp_path):
    setup = setup_of(tmp_path, "weight=uniform", "training.steps=2")
    local, central = LocalPrivacy(1.0, 0.5, 1e-5), CentralPrivacy(1.5, 1.0)
    project = write_project(tmp_path / "project", setup, local=local, central=central)
    assert isinstance(app_of(project, "server"), ServerApp) and isinstance(app_of(project, "client"), ClientApp)
    assert repr(local) in (project / MODULE / "client.py").read_text()
    assert repr(central) in (project / MODULE / "server.py").read_text()


@pytest.mark.parametrize(
    ("privacy", "said"),
    [
        ({"local": LocalPrivacy(1.0, 0.5, 1e-5)}, "local privacy hides how many examples a client has"),
        ({"central": CentralPrivacy(1.0, 1.0)}, "central privacy bounds what one client changes"),
    ],
)
def test_privacy_that_the_recipe_does_not_permit_is_refused(tmp_path, privacy, said):
    with pytest.raises(InputError, match=said):
        write_project(tmp_path / "project", setup_of(tmp_path), **privacy)
    assert not (tmp_path / "project").exists()
