import json

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.decide.conditioning import NoConditioning, Prompt, TaskId, Text
from harmonia.decide.conditioning.base import Prompting
from harmonia.decide.text import Given

NAMES = ("push", "reach", "drawer-open")
TEXTS = ("Push the puck to the goal.", "Reach a goal position.", "Open a drawer.")


def test_none_tells_nothing():
    part = NoConditioning()
    assert part.vectors(NAMES, TEXTS) is None and part.prompting is None


def test_one_hot():
    assert TaskId().vectors(NAMES, TEXTS).tolist() == np.eye(3).tolist()


def test_learned_embeddings_start_with_variance_one():
    torch = pytest.importorskip("torch")
    from harmonia.models.grouped import GroupedLinear

    torch.manual_seed(0)
    vectors = TaskId(code="learned").vectors([f"t{i}" for i in range(50)], [""] * 50)
    assert vectors.dtype == np.float32
    start = torch.from_numpy(vectors) @ GroupedLinear(50, 200).weight.mT
    assert start.std().item() == pytest.approx(1, rel=0.03)
    # the same functions as one-hot: any embedding is reached by weights that are smaller by the factor
    np.testing.assert_allclose(vectors / vectors[0, 0], TaskId().vectors(["t"] * 50, [""] * 50))


def test_prompt_says_where_prompts_come_from():
    part = Prompt(steps=7, best=3, place="tail")
    assert part.prompting == Prompting(7, "tail", 3)
    assert part.vectors(NAMES, TEXTS) is None
    assert Prompt().prompting == Prompting(5, "uniform", 5)


def test_text_is_what_its_encoder_says():
    part = Text()
    found = part.vectors(NAMES, TEXTS)
    assert np.array_equal(found, part.encoder.encode(NAMES, TEXTS))


def test_descriptions_must_tell_tasks_apart():
    with pytest.raises(InputError, match=r"tasks push and drawer-open have the same vector.*conditioning=task-id"):
        Text().vectors(NAMES, (TEXTS[0], TEXTS[1], TEXTS[0]))


def test_a_task_that_comes_again_is_the_same():
    found = Text().vectors(("push", "reach", "push@2"), (TEXTS[0], TEXTS[1], TEXTS[0]))
    assert np.array_equal(found[0], found[2])


def test_text_with_vectors_of_the_user(tmp_path):
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps({"push": [3, 4], "reach": [0, 2], "drawer-open": [1, 0]}))
    found = Text(encoder=Given(path=str(path))).vectors(NAMES, TEXTS)
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 1], [1, 0]], rtol=1e-6)
