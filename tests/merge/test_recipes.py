"""Every named recipe passes the common battery."""

import shutil

import pytest

from harmonia.merge.recipes import BOOK
from harmonia.testing import check_recipe

READERS = [
    name
    for name in BOOK.names()
    if BOOK.get(name).routing.is_mixture or BOOK.get(name).weights.kind_name() == "ada-merging"
]
"""Recipes that want language models."""


@pytest.mark.parametrize("name", sorted(set(BOOK.names()) - set(READERS)))
def test_the_common_battery(name, models):
    check_recipe(BOOK.get(name), models, interruptions=2)


@pytest.mark.parametrize("name", READERS)
def test_the_common_battery_on_language_models(name, llamas, tmp_path):
    folders = [shutil.copytree(folder, tmp_path / folder.name) for folder in (llamas.base, llamas.law, llamas.code)]
    for folder in folders[1:]:
        shutil.copy(llamas.texts[folder.name], folder / "prompts.jsonl")
    check_recipe(BOOK.get(name), folders, interruptions=3)
