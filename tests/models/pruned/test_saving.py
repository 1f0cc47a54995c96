# ruff: noqa: E402
import json

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import numpy as np
from tests.models.pruned import tiny

from harmonia.core.errors import InputError, RunError
from harmonia.models.pruned import Cut, family_of, load, parameters, save, shallower, sliced


def uniform(model, heads, neurons):
    sizes = {"heads": heads, "neurons": neurons}
    return sliced(model, {slot.name: Cut(np.arange(sizes[slot.kind])) for slot in family_of(model).slots(model)})


def ragged(model):
    """Return the model with another number of units in each layer."""
    return sliced(model, {s.name: Cut(np.arange(s.units - 1 - s.layer)) for s in family_of(model).slots(model)})


def stock(folder, kind):
    return kind.from_pretrained(folder, local_files_only=True).eval()


STOCK = {
    "llama": (lambda: uniform(tiny.llama(), 1, 30), transformers.AutoModelForCausalLM),
    "tied": (lambda: uniform(tiny.llama(tie_word_embeddings=True), 1, 30), transformers.AutoModelForCausalLM),
    "mistral": (lambda: uniform(tiny.llama("mistral"), 1, 30), transformers.AutoModelForCausalLM),
    "qwen2": (lambda: uniform(tiny.llama("qwen2"), 1, 30), transformers.AutoModelForCausalLM),
    "qwen3": (lambda: uniform(tiny.llama("qwen3"), 1, 30), transformers.AutoModelForCausalLM),
    "gemma2": (lambda: uniform(tiny.llama("gemma2"), 1, 30), transformers.AutoModelForCausalLM),
    "gpt2 neurons": (lambda: uniform(tiny.gpt2(), 4, 30), transformers.AutoModelForCausalLM),
    "bert neurons": (lambda: uniform(tiny.bert(), 4, 30), transformers.AutoModel),
    "bert depth": (lambda: shallower(tiny.bert(layers=3), [0, 2]), transformers.AutoModel),
    "gpt2 depth": (lambda: shallower(tiny.gpt2(layers=3), [0, 2]), transformers.AutoModelForCausalLM),
    "smollm3 depth": (lambda: shallower(tiny.llama("smollm3", layers=4), [0, 3]), transformers.AutoModelForCausalLM),
    "gemma3 depth": (lambda: shallower(tiny.llama("gemma3_text", layers=7), [1, 5]), transformers.AutoModelForCausalLM),
}

OURS = {
    "llama": lambda: ragged(tiny.llama(heads=8, groups=4, size=4)),
    "tied": lambda: ragged(tiny.llama(heads=8, groups=4, size=4, tie_word_embeddings=True)),
    "qwen3": lambda: ragged(tiny.llama("qwen3", heads=8, groups=4, size=4)),
    "bert": lambda: ragged(tiny.bert()),
    "bert heads": lambda: uniform(tiny.bert(), 2, 48),
    "classifier": lambda: ragged(tiny.bert("roberta", auto=transformers.AutoModelForSequenceClassification)),
    "gpt2": lambda: ragged(tiny.gpt2()),
    "bias": lambda: with_bias(tiny.llama("qwen2")),
    "bias in one layer of another width": lambda: with_bias(ragged(tiny.llama(heads=8, groups=4, size=4, neurons=60))),
    "bias beside neurons only": lambda: with_biases(tiny.llama("qwen3"), "neurons"),
    "depth": lambda: shallower(ragged(tiny.bert(layers=3)), [0, 2]),
    "three groups of width 32": lambda: uniform(tiny.llama(heads=4, groups=4), 3, 48),
}


def with_bias(model):
    cut = Cut(np.arange(40), None, np.linspace(-1, 1, 32))
    return sliced(model, {"model.layers.0.mlp.down_proj": cut, "model.layers.1.mlp.down_proj": Cut(np.arange(40))})


def with_biases(model, *kinds):
    """Return the model with a bias of draws behind every slot of some kinds, and half of its units."""
    draw = np.random.default_rng(3)
    slots = family_of(model).slots(model)
    bias = {slot.name: draw.normal(size=model.get_submodule(slot.name).out_features) for slot in slots}
    return sliced(
        model, {s.name: Cut(np.arange(s.units // 2), None, bias[s.name] if s.kind in kinds else None) for s in slots}
    )


BIASED = {
    "llama": (lambda: with_biases(tiny.llama(), "heads", "neurons"), {"attention_bias": True, "mlp_bias": True}),
    "llama heads": (lambda: with_biases(tiny.llama(), "heads"), {"attention_bias": True, "mlp_bias": False}),
    "llama neurons": (lambda: with_biases(tiny.llama(), "neurons"), {"attention_bias": False, "mlp_bias": True}),
    "llama one layer": (lambda: with_bias(tiny.llama()), {"attention_bias": False, "mlp_bias": True}),
    "llama tied": (lambda: with_biases(tiny.llama(tie_word_embeddings=True), "neurons"), {"mlp_bias": True}),
    "qwen3 heads": (lambda: with_biases(tiny.llama("qwen3"), "heads"), {"attention_bias": True}),
    "gemma heads": (lambda: with_biases(tiny.llama("gemma"), "heads"), {"attention_bias": True}),
    "gemma2 heads": (lambda: with_biases(tiny.llama("gemma2"), "heads"), {"attention_bias": True}),
    "gemma3 heads": (lambda: with_biases(tiny.llama("gemma3_text"), "heads"), {"attention_bias": True}),
    "granite": (lambda: with_biases(tiny.llama("granite"), "heads", "neurons"), {"mlp_bias": True}),
    "smollm3": (lambda: with_biases(tiny.llama("smollm3"), "heads", "neurons"), {"mlp_bias": True}),
}


@pytest.mark.parametrize("case", BIASED)
def test_new_biases_load_anywhere_where_the_architecture_has_a_field_for_them(case, tmp_path):
    make, fields = BIASED[case]
    model, given = make(), tiny.batch()
    assert save(model, tmp_path / "m")
    config = json.loads((tmp_path / "m/config.json").read_text())
    assert "harmonia" not in config and {name: config[name] for name in fields} == fields
    wanted = tiny.output(load(tmp_path / "m"), given)
    plain = stock(tmp_path / "m", transformers.AutoModelForCausalLM)
    torch.testing.assert_close(tiny.output(plain, given), wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(tiny.output(model, given), wanted, rtol=0, atol=1e-5)
    # without the biases it would be another model
    for name, tensor in plain.requires_grad_(False).named_parameters():
        if name.endswith("bias"):
            tensor.zero_()
    assert (tiny.output(plain, given) - wanted).abs().max() > 1e-2


def test_biases_of_zeros_are_parameters_like_any(tmp_path):
    dense = tiny.llama()
    model = with_biases(dense, "neurons")
    # per layer: 24 rows each of gate and up, and 32 of down
    assert parameters(model) == parameters(with_biases(dense)) + 2 * (24 + 24 + 32)
    assert not model.model.layers[0].mlp.up_proj.bias.any()
    save(model, tmp_path / "m")
    assert parameters(load(tmp_path / "m")) == parameters(model)
    assert parameters(dense) == parameters(tiny.llama()) and dense.model.layers[0].mlp.up_proj.bias is None


def test_a_model_with_new_biases_is_pruned_again(tmp_path):
    save(with_biases(tiny.llama(), "neurons"), tmp_path / "once")
    again = load(tmp_path / "once")
    twice = sliced(again, {f"model.layers.{layer}.mlp.down_proj": Cut(np.arange(7)) for layer in range(2)})
    assert save(twice, tmp_path / "twice") and twice.model.layers[0].mlp.up_proj.bias.shape == (7,)
    given = tiny.batch()
    torch.testing.assert_close(
        tiny.output(stock(tmp_path / "twice", transformers.AutoModelForCausalLM), given), tiny.output(twice, given)
    )
    odd = sliced(again, {"model.layers.0.mlp.down_proj": Cut(np.arange(7))})
    assert not save(odd, tmp_path / "odd")
    assert torch.equal(tiny.output(load(tmp_path / "odd"), given), tiny.output(odd, given))


@pytest.mark.parametrize("case", STOCK)
def test_sizes_that_the_architecture_can_say_load_anywhere(case, tmp_path):
    make, kind = STOCK[case]
    model, given = make(), tiny.batch()
    assert save(model, tmp_path / "m")
    assert "harmonia" not in json.loads((tmp_path / "m/config.json").read_text())
    wanted = tiny.output(model, given)
    assert torch.equal(tiny.output(stock(tmp_path / "m", kind), given), wanted)
    assert torch.equal(tiny.output(load(tmp_path / "m"), given), wanted)


@pytest.mark.parametrize("case", OURS)
def test_other_sizes_load_bit_for_bit_with_our_loader_and_never_wrongly_with_others(case, tmp_path):
    model, given = OURS[case](), tiny.batch()
    assert not save(model, tmp_path / "m")
    again = load(tmp_path / "m")
    assert type(again) is type(model) and not again.training
    assert torch.equal(tiny.output(again, given), tiny.output(model, given))
    assert {n: t.shape for n, t in again.state_dict().items()} == {n: t.shape for n, t in model.state_dict().items()}
    with pytest.raises((RuntimeError, ValueError)):
        type(model).from_pretrained(tmp_path / "m", local_files_only=True)


def test_config_says_the_sizes_of_each_layer(tmp_path):
    save(with_bias(ragged(tiny.llama(heads=8, groups=4, size=4, neurons=60))), tmp_path / "m")
    record = json.loads((tmp_path / "m/config.json").read_text())["harmonia"]["pruned"]
    assert record == {"heads": [3, 2], "neurons": [40, 40], "biases": ["model.layers.0.mlp.down_proj"]}


def test_a_loaded_model_is_pruned_and_saved_again(tmp_path):
    save(OURS["bert"](), tmp_path / "once")
    again = load(tmp_path / "once")
    twice = sliced(again, {"encoder.layer.0.output.dense": Cut(np.arange(7))})
    assert not save(twice, tmp_path / "twice")
    given = tiny.batch()
    assert torch.equal(tiny.output(load(tmp_path / "twice"), given), tiny.output(twice, given))
    back = uniform(again, 1, 7)  # one head of the four: no architecture says that of BERT
    assert back.config.harmonia["pruned"]["heads"] == [1, 1]


def test_types_are_kept_and_can_be_changed(tmp_path):
    model = OURS["llama"]().to(torch.bfloat16)
    save(model, tmp_path / "m")
    assert load(tmp_path / "m").dtype == torch.bfloat16
    assert load(tmp_path / "m", dtype=torch.float32).dtype == torch.float32


def test_the_trunk_alone_can_be_loaded(tmp_path):
    model = OURS["classifier"]()
    save(model, tmp_path / "m")
    # the pooler is not there, since classifiers of this type have none
    with pytest.raises(InputError, match="missing keys: .*pooler"):
        load(tmp_path / "m", kind=transformers.RobertaModel)
    save(OURS["llama"](), tmp_path / "n")
    trunk = load(tmp_path / "n", kind=transformers.LlamaModel)
    given = tiny.batch()
    assert torch.equal(tiny.output(trunk, given), tiny.output(load(tmp_path / "n").model, given))


def test_the_tokenizer_comes_along(tmp_path):
    source = tmp_path / "dense"
    (source / "1_Pooling").mkdir(parents=True)
    for name in ("tokenizer.json", "vocab.txt", "1_Pooling/config.json", "pytorch_model.bin", "notes.md"):
        (source / name).write_text(name)
    save(OURS["bert"](), tmp_path / "m", source)
    there = {str(file.relative_to(tmp_path / "m")) for file in (tmp_path / "m").rglob("*") if file.is_file()}
    assert there == {"config.json", "model.safetensors", "tokenizer.json", "vocab.txt", "1_Pooling/config.json"}
    assert (tmp_path / "m/vocab.txt").read_text() == "vocab.txt"


def test_saving_changes_nothing_in_the_model(tmp_path):
    model = OURS["bert"]()
    before = model.config.to_dict()
    save(model, tmp_path / "m")
    assert model.config.to_dict() == before


def test_numbers_that_came_from_a_quantised_file_are_plain_numbers(tmp_path):
    model = OURS["llama"]()
    model.hf_quantizer = Quantizer()
    model.config.quantization_config = {"quant_method": "gguf"}
    save(sliced(model, {}), tmp_path / "m")
    assert "quantization_config" not in json.loads((tmp_path / "m/config.json").read_text())
    assert torch.equal(tiny.output(load(tmp_path / "m"), tiny.batch()), tiny.output(model, tiny.batch()))
    assert model.config.quantization_config == {"quant_method": "gguf"}


class Quantizer(transformers.quantizers.HfQuantizer):
    """One that cannot write what it reads, as that of GGUF."""

    def __init__(self):
        self.quantization_config = type("Config", (), {"quant_method": "gguf"})

    def is_serializable(self):
        return False

    def is_trainable(self):
        return False

    def _process_model_after_weight_loading(self, model, **options):
        return model


def test_a_folder_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    model = OURS["bert"]()

    def full(self, folder, **options):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transformers.PreTrainedModel, "save_pretrained", full)
    with pytest.raises(RunError, match="cannot write .*m: No space left on device; nothing was left there"):
        save(model, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_bad_places_are_refused(tmp_path, monkeypatch):
    model = OURS["bert"]()
    with pytest.raises(InputError, match="is the folder of the dense model"):
        save(model, tmp_path / "m", tmp_path / "m")
    (tmp_path / "m").mkdir()
    (tmp_path / "m/file").write_text("")
    with pytest.raises(InputError, match="exists and is not an empty folder"):
        save(model, tmp_path / "m")
    trunk = transformers.BertModel(transformers.BertConfig(**tiny.bert().config.to_dict()), add_pooling_layer=False)
    with pytest.raises(InputError, match="has no pooler.dense.bias, which a BertModel"):
        save(trunk, tmp_path / "n")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 2**10}))
    with pytest.raises(RunError, match="has 0 MiB free, and the model takes 0: make room"):
        save(model, tmp_path / "n")


def edited(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["Evil"]}, "names the architecture Evil, which transformers does not have"),
        ({"architectures": ["AutoConfig"]}, "names the architecture AutoConfig"),
        ({"harmonia": {}}, "harmonia.pruned must hold biases, heads, neurons"),
        ({"harmonia": {"pruned": {"heads": [1], "neurons": [1, 1], "biases": []}}}, "heads names 1 layers, .* has 2"),
        ({"harmonia": {"pruned": {"heads": [1, 0], "neurons": [1, 1], "biases": []}}}, "heads must be a list of posi"),
        ({"harmonia": {"pruned": {"heads": [9, 1], "neurons": [1, 1], "biases": []}}}, "9 heads for .*, .* at most 4"),
        ({"harmonia": {"pruned": {"heads": [1, 1], "neurons": [1, 1], "biases": 1}}}, "biases must be a list of names"),
        ({"harmonia": {"pruned": {"heads": [1, 1], "neurons": [1, 1], "biases": ["x"]}}}, "x is to have a bias, and"),
        (
            {"harmonia": {"pruned": {"heads": [1, 1], "neurons": [1, 1], "biases": []}}},
            r"dense.weight has the shape \[32, 24\]",
        ),
    ],
)
def test_a_damaged_description_is_named(changes, message, tmp_path):
    save(OURS["bert"](), tmp_path / "m")
    edited(tmp_path / "m", **changes)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "m")


def test_damaged_folders_are_named(tmp_path):
    from safetensors.torch import load_file, save_file

    with pytest.raises(InputError, match="is not the folder of a model"):
        load(tmp_path)
    save(OURS["bert"](), tmp_path / "m")
    file = tmp_path / "m/model.safetensors"
    tensors = load_file(file)
    gone = tensors.pop("encoder.layer.1.output.dense.weight")
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(InputError, match=r"missing keys: encoder.layer.1.output.dense.weight"):
        load(tmp_path / "m")
    tensors["encoder.layer.1.output.dense.weight"] = gone
    more = "encoder.layer.1.output.more.weight"
    save_file(tensors | {more: gone + 1}, file, {"format": "pt"})
    with pytest.raises(InputError, match=f"unexpected keys: {more}; its config.json and its weights"):
        load(tmp_path / "m")
    save_file(tensors | {"cls.seq_relationship.weight": gone + 1}, file, {"format": "pt"})
    assert torch.equal(load(tmp_path / "m").encoder.layer[1].output.dense.weight, gone)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match="its weights cannot be loaded"):
        load(tmp_path / "m")
    file.unlink()
    with pytest.raises(InputError, match="has no weights"):
        load(tmp_path / "m")
