import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import harmonia
from harmonia.core.errors import InputError
from harmonia.models.pretrained import load_model, load_tokenizer
from harmonia.models.windows import windows

LENGTH = 32


@pytest.fixture
def law(llamas, tmp_path):
    shutil.copytree(llamas.law, tmp_path / "law")
    return tmp_path / "law"


def ids_of(folder, texts, most):
    return windows(texts, load_tokenizer(str(folder)), LENGTH, most, 0, "measure", named="text")


TEXTS = [f"the court shall hear party number {i} and the clerk shall write the record of the case" for i in range(9)]


def test_fisher_is_the_mean_of_squared_gradients(law):
    told = harmonia.merge.measure(law, "fisher", TEXTS, windows=5, length=LENGTH)
    found = load_file(told["file"])
    model = load_model(str(law), causal=True).requires_grad_(True)
    sums = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in model.named_parameters()}
    ids = ids_of(law, TEXTS, 5)
    for own in ids:
        model.zero_grad()
        batch = torch.tensor([own])
        model(input_ids=batch, labels=batch).loss.backward()
        for name, p in model.named_parameters():
            sums[name] += p.grad.double().square()
    assert told["windows"] == len(ids) == 5 and set(found) == set(sums)
    for name, total in sums.items():
        torch.testing.assert_close(found[name].double(), total / len(ids), rtol=1e-3, atol=1e-9)


def test_gram_is_the_mean_product_of_inputs_without_padding(law):
    texts = [*TEXTS, "the court " * 5]  # shorter: its batch is padded
    told = harmonia.merge.measure(law, "gram", texts, windows=20, length=LENGTH)
    found = load_file(told["file"])
    model, seen = load_model(str(law), causal=True), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_pre_hook(lambda m, x, name=name: seen.setdefault(name, []).append(x[0][0].double()))
    ids = ids_of(law, texts, 20)
    for own in ids:
        model(input_ids=torch.tensor([own]))
    assert len({len(own) for own in ids}) > 1
    assert "lm_head.weight" not in found and len(found) == 14  # the head is the embedding
    for name, gram in found.items():
        rows = torch.cat(seen[name.removesuffix(".weight")])
        torch.testing.assert_close(gram.double(), rows.T @ rows / len(rows), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("statistic", ["fisher", "gram"])
def test_less_memory_means_more_passes_and_the_same_numbers(statistic, law):
    whole = harmonia.merge.measure(law, statistic, TEXTS, length=LENGTH)
    first = load_file(whole["file"])
    little = harmonia.merge.measure(law, statistic, TEXTS, length=LENGTH, memory=10_000)
    assert whole["passes"] == 1 and little["passes"] > 4
    for name, values in load_file(little["file"]).items():
        np.testing.assert_allclose(values, first[name], rtol=1e-5, atol=1e-12)


def test_the_model_itself_is_left_as_it_was(law):
    before = (law / "model.safetensors").read_bytes()
    harmonia.merge.measure(law, "fisher", TEXTS, length=LENGTH)
    assert (law / "model.safetensors").read_bytes() == before
    assert sorted(p.name for p in law.glob("*.safetensors")) == ["fisher.safetensors", "model.safetensors"]


def test_regmean_is_better_on_the_experts_inputs_than_the_average(llamas, tmp_path):
    """The sum over experts of |X (W - W_i)^T|^2 is what RegMean minimises, on the very inputs that were measured."""
    experts = []
    for name in ("law", "code"):
        shutil.copytree(getattr(llamas, name), tmp_path / name)
        harmonia.merge.measure(tmp_path / name, "gram", llamas.texts[name], length=LENGTH)
        experts.append(tmp_path / name)
    reg = harmonia.merge(experts, "regmean", settings=["weights.alpha=1"], out=tmp_path / "r")
    flat = harmonia.merge(experts, "linear", out=tmp_path / "l")
    merged, mean = (load_file(result.model / "model.safetensors") for result in (reg, flat))
    held = [(load_file(e / "model.safetensors"), load_file(e / "gram.safetensors")) for e in experts]
    for name in held[0][1]:

        def loss(w, name=name):
            gaps = [(w.double() - theirs[name].double(), grams[name].double()) for theirs, grams in held]
            return sum(float(torch.trace(gap @ gram @ gap.T)) for gap, gram in gaps)

        assert loss(merged[name]) < loss(mean[name])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"statistic": "fischer"}, "no statistic 'fischer'; did you mean 'fisher'"),
        ({"windows": 0}, "--windows: at least 1"),
        ({"length": 1}, "--length: at least 2"),
        ({"text": []}, "the text has no text"),
        ({"text": ["court"]}, "the text has only . tokens, and a document of at least 16 tokens is needed"),
    ],
)
def test_what_cannot_be_measured_is_told(options, match, law):
    asked = {"statistic": "gram", "text": TEXTS, "length": LENGTH, **options}
    with pytest.raises(InputError, match=match):
        harmonia.merge.measure(law, **asked)
    assert not (law / "gram.safetensors").exists()


def test_models_that_cannot_be_measured_are_told(law, tmp_path):
    from transformers import BertConfig, BertModel

    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="adapter is an adapter: harmonia merge .* folds it into its base"):
        harmonia.merge.measure(tmp_path / "adapter", "gram", TEXTS)
    config = BertConfig(vocab_size=304, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    BertModel(config).save_pretrained(tmp_path / "bert")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(law / name, tmp_path / "bert")
    with pytest.raises(InputError, match="bert is no causal language model"):
        harmonia.merge.measure(tmp_path / "bert", "fisher", TEXTS)
    told = harmonia.merge.measure(tmp_path / "bert", "gram", TEXTS, length=LENGTH)
    assert told["tensors"] == 7  # queries, keys, values, output, two of the network between, and the pooler
