"""Every recipe of the book passes the common battery."""

from __future__ import annotations

import pytest
from tests.conftest import WORDS, records

from harmonia.select.recipes import BOOK
from harmonia.testing import check_recipe

TARGET = [" ".join(WORDS["law"]), " ".join(reversed(WORDS["law"])), " ".join(WORDS["law"][::2])]
SETTINGS = {
    "dsir": [f"objective.target_texts={TARGET}", "objective.min_words=0"],
    "classifier": [f"objective.positive_texts={TARGET}"],
    "heuristic-cls": [f"objective.positive_texts={TARGET}", "objective.alpha=0.5"],
    "embedding-alignment": [f"objective.target_texts={TARGET}"],
    "doremi": ["solver.width=16", "solver.layers=1", "solver.steps=4"],
}
NEEDS_A_MODEL = ("ntk-selector", "ntk-selector-probe", "loss-alignment")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A language model of a few thousand weights, in the Hub's layout."""
    pytest.importorskip("transformers")
    from harmonia.models.llama import Llama, LlamaConfig
    from harmonia.models.tokenizer import save_tokenizer, train_tokenizer

    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer([r["text"] for r in records(60)], 300)
    model = Llama(
        LlamaConfig(vocab_size=tokenizer.get_vocab_size(), width=16, layers=1, heads=2, kv_heads=1, context=64), 0
    )
    model.save(folder)
    save_tokenizer(tokenizer, folder, 64)
    return folder


@pytest.mark.parametrize("name", [n for n in BOOK.names() if n not in NEEDS_A_MODEL])
def test_recipe_passes_the_battery(name):
    check_recipe(BOOK.get(name).with_settings(SETTINGS.get(name, [])), records(40))


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDS_A_MODEL)
def test_recipe_with_a_model_passes_the_battery(name, model, tmp_path):
    target = tmp_path / "target.jsonl"
    target.write_text("".join(f'{{"text": "{text}"}}\n' for text in TARGET))
    recipe = BOOK.get(name).with_settings(
        [f"features.model={model}", f"features.target={target}", "features.rank=2", "features.warmup.epochs=1"]
    )
    if name != "loss-alignment":
        recipe = recipe.with_settings(["solver.keep=60%"])
    check_recipe(recipe, records(40), interruptions=2)
