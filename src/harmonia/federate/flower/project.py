"""A Flower project of a run, for ``flwr run``: settings, and two modules that name the apps."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

from harmonia.core.errors import InputError
from harmonia.core.files import write_text
from harmonia.federate.flower.privacy import CentralPrivacy, LocalPrivacy, central_refusal, local_refusal
from harmonia.federate.flower.setup import Setup, folder_of
from harmonia.federate.planner import Plan

MODULE = "federation"
"""Name of the project's package."""

_PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{module}"
version = "1.0.0"
description = "{about}"
license = "Apache-2.0"
requires-python = ">=3.11"
dependencies = ["flwr>={flwr}", "harmonia[flower]>={harmonia}"]

[tool.hatch.build.targets.wheel]
packages = ["."]

[tool.flwr.app]
publisher = "harmonia"

[tool.flwr.app.components]
serverapp = "{module}.server:app"
clientapp = "{module}.client:app"

[tool.flwr.app.config]
{config}
"""

_SERVER = '''\
"""The server of this federation."""

{imports}from harmonia.federate.flower.server_app import server_app

app = server_app({privacy})
'''

_CLIENT = '''\
"""The clients of this federation."""

from harmonia.federate.flower.client_app import client_app
{imports}from harmonia.federate.flower.setup import load

app = client_app(load{mods})
'''

_IMPORT = "from harmonia.federate.flower.privacy import {}\n"


def write_project(
    folder: Path,
    setup: Setup,
    *,
    local: LocalPrivacy | None = None,
    central: CentralPrivacy | None = None,
) -> Path:
    """Write a project that ``flwr run`` accepts; return its folder.

    Args:
        folder: of the project; its files are written anew.
        setup: what to run.
        local: privacy towards the server.
        central: privacy towards those who see the model.

    Raises:
        InputError: the settings or the recipe do not permit it; the message names what does.
    """
    recipe = setup.chosen()
    folder_of(setup)
    plan = Plan.of(recipe, setup.model(recipe).sizes)
    for wanted, refusal in ((local, local_refusal), (central, central_refusal)):
        if wanted is not None and (why := refusal(plan)):
            raise InputError(why)
    write_text(
        folder / "pyproject.toml",
        _PROJECT.format(
            module=MODULE,
            about=f"{recipe.name} with {setup.clients} clients",
            flwr=importlib.metadata.version("flwr"),
            harmonia=importlib.metadata.version("harmonia"),
            config="\n".join(
                f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in setup.config().items()
            ),
        ),
    )
    write_text(folder / MODULE / "__init__.py", f'"""{recipe.name}, as a Flower project."""\n')
    write_text(
        folder / MODULE / "server.py",
        _SERVER.format(
            imports=_IMPORT.format("CentralPrivacy") if central else "",
            privacy=f"privacy={central!r}" if central else "",
        ),
    )
    write_text(
        folder / MODULE / "client.py",
        _CLIENT.format(
            imports=_IMPORT.format("LocalPrivacy") if local else "",
            mods=f", mods=[{local!r}]" if local else "",
        ),
    )
    return folder
