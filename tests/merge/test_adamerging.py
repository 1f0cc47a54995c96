"""Fitting coefficients by entropy: its gradient, what it reduces to, that it lowers what it should, what it refuses."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.data.checkpoints.saved import moved, saved

from harmonia.core.errors import InputError
from harmonia.core.run import Run
from harmonia.data.checkpoints import open_checkpoint
from harmonia.merge.adamerging import Merged, check_fit, fit, fitted, memory
from harmonia.merge.plan import plan
from harmonia.merge.prompts import Prompts
from harmonia.merge.recipe import MergeRecipe
from harmonia.merge.streaming import merge
from harmonia.merge.weights import TaskArithmetic
from harmonia.merge.weights.adamerging import AdaMerging
from harmonia.models.pretrained import load_tokenizer


@pytest.fixture(scope="module")
def planned(llamas):
    base, *experts = (open_checkpoint(folder) for folder in (llamas.base, llamas.law, llamas.code))
    return plan(experts, base)


@pytest.fixture(scope="module")
def windows(llamas):
    texts = {name: str(path) for name, path in llamas.texts.items()}
    prompts = Prompts(positive=texts, most=20, length=24)
    return prompts.windows(["law", "code"], load_tokenizer(str(llamas.base)), 0).positive


@pytest.fixture
def classifiers(llamas, tmp_path):
    """Folders of a base and two experts that tell three classes."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=304, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, num_labels=3
    )
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "base")
    held = json.loads((tmp_path / "base" / "config.json").read_text())
    tensors = load_file(tmp_path / "base" / "model.safetensors")
    for seed, name in enumerate(("law", "code")):
        saved(tmp_path / name, moved(tensors, seed + 1, 0.05), config=held)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(llamas.base / name, tmp_path / "base")
    return [tmp_path / name for name in ("base", "law", "code")]


def names(planned):
    return [tensor.slot.name for tensor in planned.merged]


@pytest.mark.parametrize("settings", [{}, {"granularity": "task"}, {"granularity": "layer", "density": 0.3}])
def test_the_gradient_is_that_of_the_merged_model_in_float64(settings, planned, windows):
    """Against a graph through the merging itself: theta_0 + sum_i lambda_i tau_i, called as a function."""
    rule, counts = AdaMerging(scaling=0.9, **settings), [1.0, 0.5]
    made = Merged(rule, planned, counts, {}, dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    lambdas = torch.rand(len(made.groups), 2, generator=random, dtype=torch.float64).requires_grad_(True)
    made.assign(lambdas.detach())
    value = sum(made.backward(own[:4]) for own in windows)
    found = made.gradient()

    places = {id(weight): name for name, weight in made._model.named_parameters()}
    weights = {}
    for part in made._parts:
        shares = 0.9 * lambdas[part.group] * torch.tensor(counts, dtype=torch.float64)
        weights[places[id(part.weight)]] = (part.base + shares @ part.tasks).view_as(part.weight)
    total = 0.0
    for own in windows:
        entropies = []
        for ids in own[:4]:  # one at a time, without padding
            batch = (torch.tensor([ids]),)
            logits = torch.func.functional_call(made._model, weights, batch).logits[0]
            law = torch.distributions.Categorical(logits=logits)
            entropies.append(law.entropy())
        total = total + torch.cat(entropies).mean()
    total.backward()
    assert value == pytest.approx(float(total.detach()), abs=1e-10)
    torch.testing.assert_close(found, lambdas.grad, rtol=1e-7, atol=1e-11)


def test_the_task_gradient_is_the_sum_of_its_tensors(planned, windows):
    slopes = {}
    for granularity in ("task", "layer", "tensor"):
        made = Merged(AdaMerging(granularity=granularity), planned, [1.0, 1.0], {}, dtype=torch.float64)
        made.assign(torch.full((len(made.groups), 2), 0.3, dtype=torch.float64))
        made.backward(windows[0])
        slopes[granularity] = made.gradient()
    for finer in ("layer", "tensor"):
        torch.testing.assert_close(slopes[finer].sum(0), slopes["task"][0], rtol=1e-9, atol=1e-12)


def test_no_steps_are_task_arithmetic(planned, windows, tmp_path):
    rule = AdaMerging(steps=0)
    found = fit(rule, planned, windows)
    assert (found["coefficients"] == 0.3).all() and (found["before"] == found["after"]).all()
    assert found["entropy"].shape == (0, 2)
    merge(planned, rule.fitted(names(planned), found["coefficients"]), tmp_path / "a")
    merge(planned, TaskArithmetic(scaling=0.3), tmp_path / "b")
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in "ab")
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=1e-7)


@pytest.mark.parametrize("settings", [{}, {"granularity": "task"}, {"density": 0.5}])
def test_entropy_falls_and_the_written_model_is_the_fitted_one(settings, planned, windows, tmp_path):
    rule = AdaMerging(steps=8, learning_rate=0.05, batch=4, **settings)
    found = fit(rule, planned, windows)
    assert found["after"].sum() < found["before"].sum()
    assert ((found["coefficients"] >= 0) & (found["coefficients"] <= 1)).all()
    fitted = rule.fitted(names(planned), found["coefficients"])
    merge(planned, fitted, tmp_path / "model")
    alone = open_checkpoint(tmp_path / "model")
    read = Merged(fitted, plan([alone], alone), [1.0], {})
    np.testing.assert_allclose(read.entropies(torch.zeros(len(read.groups), 1), windows), found["after"], atol=1e-5)


def test_adam_moves_the_coefficients_as_it_should(planned, windows):
    """The first update of Adam is the learning rate against the sign of the gradient, whatever its size."""
    found = fit(AdaMerging(granularity="task", steps=1, batch=99), planned, windows)
    made = Merged(AdaMerging(granularity="task"), planned, [1.0, 1.0], {})
    made.assign(torch.full((1, 2), 0.3))
    for own in windows:
        made.backward(own)
    expected = 0.3 - 1e-3 * np.sign(made.gradient().numpy())
    np.testing.assert_allclose(found["coefficients"], expected, rtol=0, atol=1e-7)


def test_coefficients_stay_within_0_and_1(planned, windows):
    found = fit(AdaMerging(steps=3, learning_rate=0.9, batch=2), planned, windows)
    assert set(np.unique(found["coefficients"])) <= {0.0, 1.0} | set(found["coefficients"].ravel())
    assert found["coefficients"].min() == 0 and found["coefficients"].max() == 1


def test_the_seed_decides_and_the_order_of_experts_does_not(llamas, planned, windows):
    rule = AdaMerging(granularity="task", steps=4, batch=3, learning_rate=0.01)
    one, again, other = (fit(rule, planned, windows, seed=seed)["coefficients"] for seed in (0, 0, 1))
    assert (one == again).all() and (one != other).any()
    base, *experts = (open_checkpoint(folder) for folder in (llamas.base, llamas.code, llamas.law))
    turned = fit(rule, plan(experts, base), windows[::-1])["coefficients"]
    np.testing.assert_allclose(turned[:, ::-1], one, rtol=0, atol=1e-6)


def test_an_expert_that_is_the_base_has_no_gradient(llamas, windows):
    base, law = open_checkpoint(llamas.base), open_checkpoint(llamas.law)
    found = fit(AdaMerging(granularity="task", steps=2), plan([law, base], base), windows)["coefficients"]
    assert found[0, 0] != 0.3 and found[0, 1] == 0.3


def test_weights_of_experts_scale_their_task_vectors(planned, windows):
    half = fit(AdaMerging(granularity="task", steps=0), planned, windows, counts=[0.5, 0.5])
    plain = fit(AdaMerging(granularity="task", steps=0, initial=0.15), planned, windows)
    np.testing.assert_allclose(half["before"], plain["before"], rtol=1e-6)


def test_what_was_fitted_is_kept_and_told(planned, windows, tmp_path):
    rule = AdaMerging(granularity="layer", steps=2)
    with Run.start(tmp_path / "run", MergeRecipe(name="x", weights=TaskArithmetic()), {}) as run:
        made, told = fitted(rule, planned, windows, run.keep)
        # what is kept needs neither the model nor other settings
        again, retold = fitted(rule.model_copy(update={"steps": 10**9}), planned, windows, run.keep)
    assert made.coefficients == again.coefficients and told == retold
    assert list(told["coefficients"]) == rule.groups(names(planned)) and told["steps"] == 2
    assert sum(told["entropy"]["after"]) < sum(told["entropy"]["before"])
    for other in (TaskArithmetic(), made):
        assert fitted(other, planned, None, run.keep) == (other, None)
    with pytest.raises(InputError, match="ada-merging fits its coefficients to text of each expert: give it"):
        check_fit(rule, planned, None)
    with pytest.raises(InputError, match="no text of"):
        check_fit(rule, planned, [windows[0], []])


def test_classifiers_by_the_entropy_of_classes(classifiers, windows):
    base, *experts = map(open_checkpoint, classifiers)
    own = [[[2, *ids] for ids in each] for each in windows]
    found = fit(AdaMerging(steps=8, learning_rate=0.05), plan(experts, base), own)
    assert found["after"].sum() < found["before"].sum() <= 2 * np.log(3)


def test_a_classifier_is_not_asked_about_the_middle_of_a_text(classifiers, windows):
    """Where the tokenizer begins texts with a token of their class, other windows are left out."""
    settings = classifiers[0] / "tokenizer_config.json"
    word = load_tokenizer(str(classifiers[0])).convert_ids_to_tokens(2)
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"cls_token": word}))
    base, *experts = map(open_checkpoint, classifiers)
    begun = [[[2, *ids] for ids in each[:3]] for each in windows]
    rule, asked = AdaMerging(steps=1), plan(experts, base)
    mixed = fit(rule, asked, [own + each for own, each in zip(begun, windows, strict=True)])
    assert (mixed["before"] == fit(rule, asked, begun)["before"]).all()
    with pytest.raises(InputError, match="no text of .*law"):
        fit(rule, asked, windows)


def test_what_it_takes_is_told(planned):
    size = sum(tensor.slot.size for tensor in planned.merged)
    assert memory(planned) == 4 * 5 * size


def test_experts_without_text_are_refused(planned, windows, llamas):
    with pytest.raises(InputError, match=r"no text of .*code: ada-merging needs some of every expert, --prompts NAME"):
        fit(AdaMerging(), planned, [windows[0], []])
    with pytest.raises(InputError, match="texts of 1 experts for 2: give text of each, in their order"):
        fit(AdaMerging(), planned, windows[:1])
    alone = plan([open_checkpoint(llamas.law)])
    with pytest.raises(InputError, match="works on expert - base: give the base"):
        fit(AdaMerging(), alone, windows[:1])


def test_models_that_predict_no_distribution_are_refused(tmp_path, windows, classifiers):
    held = [open_checkpoint(saved(tmp_path / name, config={"architectures": ["BertModel"]})) for name in "ab"]
    with pytest.raises(InputError, match=r"a is a BertModel, which predicts nothing whose entropy could be lowered"):
        fit(AdaMerging(), plan(held[1:], held[0]), windows[:1])
    config = classifiers[0] / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"problem_type": "regression"}))
    base, *experts = map(open_checkpoint, classifiers)
    with pytest.raises(InputError, match="is made for regression: ada-merging takes classifiers of one class per text"):
        fit(AdaMerging(), plan(experts, base), windows)


def test_predictions_that_are_not_finite_are_told(llamas, windows, tmp_path):
    tensors = load_file(llamas.law / "model.safetensors")
    tensors["model.norm.weight"] *= 1e38
    tensors["model.embed_tokens.weight"] *= 1e10
    config = json.loads((llamas.law / "config.json").read_text())
    wild = open_checkpoint(saved(tmp_path / "wild", tensors, config=config))
    with pytest.raises(InputError, match="the merged model's predictions are NaN or infinite"):
        fit(AdaMerging(steps=1), plan([wild], open_checkpoint(llamas.base)), windows[:1])
