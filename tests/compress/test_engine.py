"""A run from a folder to a folder: what is written loads, is what was asked for, and bad input is told in one line."""

# ruff: noqa: E402
import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file
from tests.compress import folders
from tests.models.pruned import tiny

import harmonia
from harmonia.compress import plan
from harmonia.compress.comparison import compare
from harmonia.compress.dense import Dense
from harmonia.compress.engine import ratios_of
from harmonia.compress.recipes import BOOK
from harmonia.core.errors import HarmoniaError, InputError
from harmonia.models.pruned import load

SMALL = ["calibration.length=16", "calibration.sequences=40"]


def compress(model, recipe="liar-wifv", *, texts=None, out, settings=(), **options):
    return harmonia.compress(
        model,
        recipe,
        calibration=texts,
        settings=[*SMALL, *settings],
        out=out,
        **{"judged": 64, "timed": False, **options},
    )


def weights(result, ratio=None):
    return {name: tensor.numpy() for name, tensor in result.model(ratio).named_parameters()}


def test_a_curve_is_that_of_separate_runs(causal, texts, tmp_path):
    ratios = [0.1, 0.3, 0.5]
    whole = compress(causal, texts=texts, ratio=ratios, out=tmp_path / "curve")
    assert whole.ratios == ratios
    for ratio in ratios:
        alone = compress(causal, texts=texts, ratio=ratio, out=tmp_path / f"{ratio}")
        one, other = weights(whole, ratio), weights(alone)
        assert one.keys() == other.keys()
        for name, expected in other.items():
            np.testing.assert_allclose(one[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_nothing_removed_is_the_model_bit_for_bit(causal, texts, tmp_path):
    result = compress(causal, texts=texts, ratio=0, out=tmp_path / "r")
    dense = load(causal)
    for name, tensor in result.model().named_parameters():
        assert torch.equal(tensor, dense.get_parameter(name)), name
    point = result.summary["points"][0]
    assert point["stock"] and point["score"] == result.summary["dense"]["score"]


def test_errors_of_layers_are_in_order(encoder, texts, tmp_path):
    result = compress(encoder, texts=texts, ratio=[0.25, 0.5], out=tmp_path / "r")
    for row in result.layers.iter_rows(named=True):
        assert row["E_affine"] <= row["E_ls"] * (1 + 1e-6) and row["E_affine"] <= row["E_bias"] <= row["E_none"]
        assert 0 <= row["R2"] <= 1
    assert result.summary["score"]["name"] == "cosine" and result.summary["dense"]["score"] == 1


def test_the_result_of_the_summary_is_what_was_written(encoder, texts, tmp_path):
    result = compress(encoder, texts=texts, ratio=0.5, out=tmp_path / "r", settings=["structure=neurons"])
    point = result.summary["points"][0]
    model = result.model()
    assert point["parameters"] == sum(tensor.numel() for tensor in model.parameters())
    # neurons halve, and the biases were there, so the usual class of transformers reads it
    assert point["stock"] and model.config.intermediate_size == 24
    plain = transformers.AutoModel.from_pretrained(result.path())
    batch = tiny.batch()
    assert torch.equal(tiny.output(plain, batch), tiny.output(model, batch))
    assert transformers.AutoTokenizer.from_pretrained(result.path())("w1 w2")["input_ids"] == [1, 5, 6, 2]
    card = (result.path() / "README.md").read_text()
    assert f"{point['parameters']:,}" in card and "from transformers import BertModel" in card
    assert "| encoder.layer.0.output.dense | 24 of 48 neurons |" in card


@pytest.mark.parametrize("recipe", ["liar-wifv", "bias-wifv"])
def test_new_biases_of_a_llama_are_read_by_plain_transformers(causal, texts, tmp_path, recipe):
    result = compress(causal, recipe, texts=texts, ratio=0.5, out=tmp_path / "r")
    point = result.summary["points"][0]
    plain = transformers.AutoModelForCausalLM.from_pretrained(result.path())
    ours, given = result.model(), tiny.batch()
    torch.testing.assert_close(tiny.output(plain, given), tiny.output(ours, given), rtol=0, atol=1e-5)
    assert point["stock"] and point["parameters"] == plain.num_parameters()
    assert "from transformers import LlamaForCausalLM" in (result.path() / "README.md").read_text()
    biases = {name: tensor for name, tensor in plain.named_parameters() if name.endswith("bias")}
    assert len(biases) == 2 * 7 and sum(bool(tensor.any()) for tensor in biases.values()) == 2 * 2


def test_without_new_biases_layers_are_repaired_by_least_squares_alone(causal, texts, tmp_path):
    plain = compress(causal, texts=texts, ratio=0.5, fold_bias=False, out=tmp_path / "b")
    least = compress(causal, "ls-wifv", texts=texts, ratio=0.5, out=tmp_path / "c")
    assert plain.summary["points"][0]["stock"]
    one, other = weights(plain), weights(least)
    assert all(np.array_equal(one[name], other[name]) for name in other)
    with pytest.raises(InputError, match=r"model\.layers\.0\.self_attn\.o_proj: it has no bias .*--fold-bias"):
        compress(causal, "flap", texts=texts, ratio=0.5, fold_bias=False, out=tmp_path / "d")


def test_the_dense_output_is_imitated_layer_by_layer(causal, texts, tmp_path):
    """Errors to the dense output add up from below; a repair that sees them leaves less in the last layer."""
    from harmonia.compress.sequences import Texts
    from harmonia.compress.structure import Both

    one = compress(causal, texts=texts, ratio=0.5, out=tmp_path / "a", settings=["reconstruction.ridge=0.001"])
    other = compress(
        causal,
        texts=texts,
        ratio=0.5,
        out=tmp_path / "b",
        settings=["reconstruction.ridge=0.001", "calibration.target=dense-output"],
    )
    dense = Dense.open(causal)
    own, _ = Texts(texts).draw(dense.tokenizer, None, length=16, sequences=40, tokens=0, judged=64, seed=0)
    last = Both().sites(dense.model, 16)[-1].name
    left = []
    for result in (one, other):
        smaller, total = result.model(), 0.0
        for batch in own.batches(8):
            outputs = []
            for model in (dense.model, smaller):
                hook = model.get_submodule(last).register_forward_hook(lambda m, i, o: outputs.append(o))
                tiny.output(model, batch)
                hook.remove()
            total += float(((outputs[0] - outputs[1])[batch.mask.bool()] ** 2).sum())
        left.append(total)
    assert left[1] < left[0]
    rows = other.summary["points"][0]["layers"]
    assert all(row["kept"] < row["units"] and row["error"] > 0 for row in rows)


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_the_hidden_state_itself_is_made_up_for(kind, request, texts, tmp_path):
    """A layer that also gives what is missing in the state it is added to leaves the last state nearer to the dense."""
    from harmonia.compress.sequences import Texts

    folder = request.getfixturevalue(kind)
    dense = Dense.open(folder)
    own, _ = Texts(texts).draw(dense.tokenizer, None, length=16, sequences=40, tokens=0, judged=64, seed=0)
    left = []
    for target in ("dense-output", "dense-stream"):
        settings = ["reconstruction.ridge=0.001", f"calibration.target={target}"]
        smaller = compress(folder, texts=texts, ratio=0.5, out=tmp_path / target, settings=settings).model()
        total = 0.0
        for batch in own.batches(8):
            states = [
                model.base_model(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
                for model in (dense.model, smaller)
            ]
            total += float(((states[0] - states[1])[batch.mask.bool()] ** 2).sum())
        left.append(total)
    assert left[1] < 0.9 * left[0]


def test_a_hidden_state_behind_a_norm_is_refused(texts, tmp_path):
    from transformers import Gemma2Config, Gemma2ForCausalLM

    small = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "vocab_size": 64, "head_dim": 8}
    model = Gemma2ForCausalLM(Gemma2Config(**small, num_attention_heads=2, num_key_value_heads=1))
    model.save_pretrained(tmp_path / "gemma")
    folders.tokenizer().save_pretrained(tmp_path / "gemma")
    with pytest.raises(InputError, match="dense-stream: what layers of .* give goes through a norm or a factor"):
        compress(tmp_path / "gemma", texts=texts, settings=["calibration.target=dense-stream"], out=tmp_path / "r")


@pytest.mark.parametrize("target", ["dense-output", "dense-stream"])
def test_the_first_layer_is_the_same_whichever_target(causal, texts, tmp_path, target):
    kept = ["reconstruction.ridge=0.01"]
    one = weights(compress(causal, texts=texts, ratio=0.5, out=tmp_path / "a", settings=kept))
    other = weights(
        compress(
            causal,
            texts=texts,
            ratio=0.5,
            out=tmp_path / "b",
            settings=[*kept, f"calibration.target={target}"],
        )
    )
    first = "model.layers.0.self_attn.o_proj.weight"
    np.testing.assert_allclose(one[first], other[first], rtol=1e-3, atol=1e-4)
    later = "model.layers.1.mlp.down_proj.weight"
    assert not np.allclose(one[later], other[later], rtol=1e-2)


def test_statistics_serve_another_recipe_and_ratio(causal, texts, tmp_path, monkeypatch):
    shared = {"statistics": tmp_path / "seen", "texts": texts}
    alone = compress(causal, "bias-wifv", texts=texts, ratio=0.5, out=tmp_path / "alone")
    compress(causal, "liar-wifv", ratio=0.25, out=tmp_path / "a", **shared)
    monkeypatch.setattr("harmonia.compress.calibration.walk", lambda *_: pytest.fail("was seen already"))
    again = compress(causal, "bias-wifv", ratio=0.5, out=tmp_path / "b", **shared)
    one, other = weights(again), weights(alone)
    assert all(np.array_equal(one[name], other[name]) for name in other)


def test_the_state_of_a_finished_run_is_small(causal, texts, tmp_path):
    compress(causal, texts=texts, ratio=0.5, out=tmp_path / "r")
    assert not (tmp_path / "r" / "state" / "statistics").exists()
    assert not (tmp_path / "r" / "state" / "repairs").exists()


def test_whole_layers_go(causal, texts, tmp_path):
    result = compress(causal, "shortgpt", texts=texts, ratio=[0, 0.5], out=tmp_path / "r")
    assert [len(point["blocks"]) for point in result.summary["points"]] == [2, 1]
    assert len(result.summary["influence"]) == 2
    stays = result.summary["points"][1]["blocks"][0]
    assert stays == int(np.argmax(result.summary["influence"]))
    assert result.model(0.5).config.num_hidden_layers == 1 and result.layers.is_empty()


def test_hidden_channels_go(causal, texts, tmp_path):
    result = compress(causal, "slicegpt", texts=texts, ratio=[0, 0.25, 0.4], out=tmp_path / "r")
    whole, some, fewer = result.summary["points"]
    assert [point["hidden"]["kept"] for point in (whole, some, fewer)] == [32, 24, 16]  # 19 is no multiple of 8
    assert whole["score"] == pytest.approx(result.summary["dense"]["score"], rel=1e-4)
    assert whole["parameters"] > result.summary["dense"]["parameters"]  # what stands between hidden states
    assert whole["parameters"] > some["parameters"] > fewer["parameters"] and not some["stock"]
    assert whole["hidden"]["energy"] == pytest.approx([1] * 5)
    energy = np.array([point["hidden"]["energy"] for point in (some, fewer)])
    assert (energy[:, :-1] < 1).all() and (energy[0, :-1] > energy[1, :-1]).all() and (energy[:, -1] == 1).all()
    assert "keeps 24 of 32 channels" in (result.path(0.25) / "README.md").read_text()
    assert result.report().exists() and result.layers.is_empty()
    assert not (tmp_path / "r" / "state" / "repairs").exists()
    told = plan(causal, "slicegpt", ratio=[0.25, 0.4])["points"]
    assert [row["parameters"] for row in told] == [some["parameters"], fewer["parameters"]]
    sixteen = plan(causal, "slicegpt", ratio=0.25, settings=["calibration.length=16"])["points"][0]
    assert sixteen["macs"] == pytest.approx(some["macs"]) and sixteen["hidden"] == [24, 24, 24, 24, None]


def test_hidden_channels_of_an_encoder_stay(encoder, texts, tmp_path):
    with pytest.raises(InputError, match="cannot go from this model of type 'bert': .* take structure=both, neurons"):
        compress(encoder, "slicegpt", texts=texts, out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_model_of_fewer_hidden_channels_loses_neurons_too(causal, texts, tmp_path):
    narrow = compress(causal, "slicegpt", texts=texts, ratio=0.25, out=tmp_path / "narrow")
    both = compress(narrow.path(), "liar-wifv", texts=texts, ratio=0.25, out=tmp_path / "both")
    model = both.model()
    assert model.model.layers[0].mlp.down_proj.weight.shape == (24, 36)
    with pytest.raises(InputError, match="turned and cut already"):
        compress(narrow.path(), "slicegpt", texts=texts, ratio=0.25, out=tmp_path / "again")
    with pytest.raises(InputError, match="no layer can be left out: remove layers from the dense model"):
        compress(narrow.path(), "shortgpt", texts=texts, ratio=0.5, out=tmp_path / "depth")
    with pytest.raises(InputError, match="dense-stream"):
        compress(narrow.path(), "liar-stream", texts=texts, ratio=0.5, out=tmp_path / "stream")


def test_a_recipe_without_data_needs_no_text(causal, tmp_path):
    result = compress(causal, "magnitude", ratio=0.5, out=tmp_path / "r")
    summary = result.summary
    assert summary["score"]["name"] is None and summary["calibration"] is None and summary["judged"] is None
    assert "No text was used." in (result.path() / "README.md").read_text()
    assert all(row["E_none"] is None for row in summary["points"][0]["layers"])


def test_a_classifier_is_judged_by_its_labels_and_pruned_by_its_loss(classifier, tmp_path):
    rows = [{"text": text, "label": place % 3} for place, text in enumerate(folders.texts())]
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = compress(classifier, "kwon", texts=str(path), label="label", ratio=0.5, out=tmp_path / "r")
    summary = result.summary
    assert summary["score"]["name"] == "accuracy" and 0 <= summary["points"][0]["score"] <= 1
    macs = sum(row["kept"] for row in summary["points"][0]["layers"])
    assert macs < sum(row["units"] for row in summary["points"][0]["layers"])
    without = compress(classifier, texts=folders.texts(), ratio=0.5, out=tmp_path / "s")
    assert without.summary["score"]["name"] == "cosine"


def test_weights_are_written_in_the_type_that_they_had(tmp_path, texts):
    folder = folders.folder(tiny.llama().to(torch.bfloat16), tmp_path / "half")
    result = compress(folder, texts=texts, ratio=0.5, out=tmp_path / "r")
    stored = load_file(result.path() / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    assert Dense.open(folder).model.dtype == torch.float32


@pytest.mark.parametrize(
    ("kind", "recipe", "changes", "fold_bias"),
    [
        ("llama", "ls-wifv", [], True),
        ("llama", "liar-wifv", [], True),
        ("llama", "liar-wifv", [], False),
        ("llama", "bias-wifv", ["structure.spare_first=1"], True),
        ("mistral", "liar-wifv", [], True),
        ("bert", "liar-wifv", [], True),
    ],
)
def test_a_plan_counts_what_the_model_then_has(tmp_path, texts, kind, recipe, changes, fold_bias):
    made = {"llama": folders.causal, "mistral": folders.causal, "bert": folders.encoder}[kind]
    folder = made(tmp_path / "model", **({} if kind == "bert" else {"kind": kind}))
    found = plan(folder, recipe, ratio=[0.25, 0.5], settings=[*SMALL, *changes], fold_bias=fold_bias)
    result = compress(
        folder, recipe, texts=texts, ratio=[0.25, 0.5], out=tmp_path / "r", settings=changes, fold_bias=fold_bias
    )
    for told, point in zip(found["points"], result.summary["points"], strict=True):
        assert told["kept"] == [row["kept"] for row in point["layers"]]
        assert told["parameters"] == point["parameters"] and told["macs"] == pytest.approx(point["macs"])


def test_a_plan_says_what_only_text_tells(causal):
    found = plan(causal, "flap", ratio=0.5)
    assert found["points"][0]["kept"] is None and "which needs text" in found["notes"][0]
    d = 48
    assert found["calibration"]["layer_bytes"] == 8 * 2 * (d**2 + 32**2)
    known = plan(causal, "magnitude", ratio=0.5, settings=["allocation=global-standardised"])
    assert known["points"][0]["kept"] is not None and known["calibration"] is None
    whole = plan(causal, "shortgpt", ratio=0.5)
    assert whole["points"][0]["blocks"] == 1 and whole["sites"] == []


def test_recipes_are_compared_on_the_same_text(causal, texts, tmp_path):
    asked = {"ratio": [0.25, 0.5], "calibration": texts, "judged": 64, "seeds": [0, 1], "settings": SMALL}
    found = compare(causal, ["bias-wifv", "liar-wifv"], out=tmp_path / "c", **asked)
    assert found["baseline"] == "bias-wifv" and found["metrics"][0] == "perplexity/mean"
    assert found["better"]["perplexity"] == "lower"
    one = found["recipes"]["liar-wifv"]
    alone = compress(causal, texts=texts, ratio=[0.25, 0.5], seed=1, out=tmp_path / "r")
    scores = [point["score"] for point in alone.summary["points"]]
    assert one["perplexity/0.5"]["values"][1] == pytest.approx(scores[1], rel=1e-6)
    assert one["perplexity/mean"]["values"][1] == pytest.approx(np.sqrt(np.prod(scores)), rel=1e-6)
    assert not list((tmp_path / "c" / "runs").rglob("model.safetensors"))
    again = compare(causal, ["bias-wifv", "liar-wifv"], out=tmp_path / "c", resume=True, **asked)
    assert again == found


def test_ratios():
    assert ratios_of(0.3) == [0.3] and ratios_of([0.4, 0.1]) == [0.1, 0.4]
    for wrong, said in (
        ([], "name at least one"),
        (1.0, "a ratio of 1:"),
        (-0.1, "a ratio of -0.1"),
        ([0.2, 0.2], "twice"),
    ):
        with pytest.raises(InputError, match=said):
            ratios_of(wrong)


UNFIT = [
    ("liar-wifv", ["structure=depth"], "structure=depth removes whole layers, and criterion=wifv"),
    ("shortgpt", ["structure=both"], "criterion=block-influence scores whole layers, and structure=both"),
    ("shortgpt", ["reconstruction=liar"], "structure=depth leaves nothing to repair"),
    ("liar-wifv", ["structure=hidden"], "structure=hidden removes channels of hidden states, and criterion=wifv does"),
    ("slicegpt", ["structure=neurons"], "criterion=principal scores channels of hidden states, and structure=neurons"),
    ("slicegpt", ["reconstruction=bias"], "structure=hidden leaves nothing to repair; reconstruction=bias needs"),
    (
        "slicegpt",
        ["allocation=global-standardised"],
        "structure=hidden keeps the same share of every hidden state, and",
    ),
    ("slicegpt", ["structure.multiple=64"], "leaves less than structure.multiple=64 of 32 channels"),
    ("slicegpt", ["structure.spare_first=2"], "spare_first=2 and spare_last=0 leave nothing of 2 layers to cut"),
    ("slicegpt", ["calibration.target=dense-output"], "reconstruction=none repairs nothing"),
    ("none-wifv", ["calibration.target=dense-output"], "reconstruction=none repairs nothing"),
]


@pytest.mark.parametrize(("recipe", "settings", "said"), UNFIT)
def test_parts_that_do_not_go_together_are_named(causal, texts, tmp_path, recipe, settings, said):
    with pytest.raises(InputError, match=said):
        compress(causal, recipe, texts=texts, settings=settings, out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_text_that_is_needed_is_asked_for(causal, encoder, texts, tmp_path):
    with pytest.raises(InputError, match="recipe liar-wifv looks at .* give --calibration"):
        compress(causal, out=tmp_path / "r")
    with pytest.raises(
        InputError, match="recipe kwon takes gradients of a loss, and .*encoder is an encoder, .* such as liar-wifv"
    ):
        compress(encoder, "kwon", texts=texts, ratio=0.5, out=tmp_path / "r")
    with pytest.raises(InputError, match="--label label: .* is no classifier"):
        compress(encoder, texts=texts, label="label", out=tmp_path / "r")
    with pytest.raises(InputError, match="--judged 1: at least 2"):
        compress(encoder, texts=texts, judged=1, out=tmp_path / "r")
    with pytest.raises(InputError, match="without a ridge at least"):
        compress(
            causal, texts=texts, settings=["reconstruction.ridge=0", "calibration.sequences=4"], out=tmp_path / "r"
        )
    assert not (tmp_path / "r").exists()


def test_a_layer_cannot_lose_all_of_its_units(causal, texts, tmp_path):
    with pytest.raises(InputError, match="less multiplications than one unit of each of 4 layers; lower it"):
        compress(causal, "kcm", texts=texts, ratio=0.99, out=tmp_path / "r")


def without(folder, name):
    (folder / name).unlink()


def cut_off(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def shardless(folder):
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    without(folder, "model.safetensors")


def pickled(folder):
    torch.save({}, folder / "pytorch_model.bin")
    without(folder, "model.safetensors")


def configured(**changes):
    def change(folder):
        config = json.loads((folder / "config.json").read_text()) | changes
        kept = {name: value for name, value in config.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(kept))

    return change


def changed(name, change):
    """Return what changes a tensor, or with None removes it."""

    def spoil(folder):
        tensors = load_file(folder / "model.safetensors")
        old = tensors.pop(name, None)
        if change is not None:
            tensors[name] = change(old)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def strange_words(folder):
    record = json.loads((folder / "tokenizer.json").read_text())
    record["model"]["vocab"] = {word: number + 30 for word, number in record["model"]["vocab"].items()}
    (folder / "tokenizer.json").write_text(json.dumps(record))


UP, DOWN = (f"model.layers.0.mlp.{name}_proj" for name in ("up", "down"))


SPOILED = [
    (lambda folder: without(folder, "config.json"), "is not the folder of a model: it has no config.json"),
    (lambda folder: without(folder, "model.safetensors"), "has no weights"),
    (lambda folder: without(folder, "tokenizer.json"), "its tokenizer"),
    (cut_off, "model.safetensors"),
    (shardless, "names shard model-00001-of-00002.safetensors that the folder lacks"),
    (pickled, "has weights as pickle only .* convert it"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b""), "model.safetensors is cut off within its header"),
    (lambda folder: (folder / "config.json").write_text("{"), "config.json cannot be read"),
    (configured(model_type="t5"), "a model of type 't5' cannot be pruned; supported: bert"),
    (configured(model_type=None), "config.json has no model_type, such as llama or bert"),
    (configured(architectures=None), "config.json names no architecture; say of which class"),
    (configured(architectures="LlamaForCausalLM"), "config.json names no architecture; say of which class"),
    (configured(architectures=["Evil"]), "names the architecture Evil, which transformers does not have"),
    (configured(architectures=["BertModel"]), "architecture BertModel, which is none of its type llama"),
    (
        configured(num_attention_heads=3),
        "config.json cannot be read: .* not a multiple of the number of attention heads",
    ),
    (configured(num_key_value_heads=3), r"k_proj.weight has the shape \[16, 32\], and config.json wants \[24, 32\]"),
    (configured(num_hidden_layers=3), "missing keys: model.layers.2"),
    (configured(num_hidden_layers=1), "unexpected keys: model.layers.1.*are not of one model"),
    (configured(quantization_config={"quant_method": "gptq"}), "quantised .quantization_config.: take the .* original"),
    (changed(f"{UP}.weight", None), f"missing keys: {UP}.weight"),
    (changed(f"{UP}.weight", lambda old: old.to(torch.int8)), f"{UP}.weight is I8, not floating-point weights: deq"),
    (changed(f"{DOWN}.bias", lambda _: torch.ones(32)), f"unexpected keys: {DOWN}.bias"),
    (changed(f"{DOWN}.weight", lambda old: old * float("nan")), f"{DOWN}.weight holds NaN or infinite numbers"),
    (changed("model.embed_tokens.weight", lambda old: old * float("nan")), "model.embed_tokens.weight holds NaN"),
    (strange_words, "its tokenizer gives the token 73, and the model has embeddings of 50"),
]


@pytest.mark.parametrize(("spoil", "said"), SPOILED)
def test_what_is_no_model_is_told_in_one_line(causal, texts, tmp_path, spoil, said):
    folder = shutil.copytree(causal, tmp_path / "model")
    spoil(folder)
    with pytest.raises(HarmoniaError, match=said) as caught:
        compress(folder, texts=texts, out=tmp_path / "r")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "r" / "result").exists()


PICKLE = "pytorch_model.bin"


def test_a_pickle_is_read_where_it_is_allowed(causal, texts, tmp_path):
    folder = shutil.copytree(causal, tmp_path / "model")
    torch.save(load_file(folder / "model.safetensors"), folder / PICKLE)
    without(folder, "model.safetensors")
    with pytest.raises(InputError, match="as pickle only .pytorch_model.bin.* with --allow-pytorch-bin"):
        compress(folder, texts=texts, ratio=0.5, out=tmp_path / "r")
    assert plan(folder, ratio=0.5, allow_pytorch_bin=True)["dense"] == plan(causal, ratio=0.5)["dense"]
    one = compress(folder, texts=texts, ratio=0.5, out=tmp_path / "r", allow_pytorch_bin=True)
    other = compress(causal, texts=texts, ratio=0.5, out=tmp_path / "s")
    wanted = weights(other)
    assert all(np.array_equal(values, wanted[name]) for name, values in weights(one).items())
    assert not list(one.path().glob("*.bin"))


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.path),)


def test_code_in_a_pickle_is_never_run(causal, texts, tmp_path):
    folder = shutil.copytree(causal, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    without(folder, "model.safetensors")
    for zipped in (True, False):
        torch.save({**tensors, "x": Evil(tmp_path / "owned")}, folder / PICKLE, _use_new_zipfile_serialization=zipped)
        with pytest.raises(InputError, match=r"pytorch_model.bin holds \w+.mkdir, which is no tensor and could run"):
            compress(folder, texts=texts, out=tmp_path / "r", allow_pytorch_bin=True)
    assert not (tmp_path / "owned").exists() and not (tmp_path / "r").exists()


def test_no_model_at_all(texts, tmp_path):
    with pytest.raises(InputError, match="no model folder .*nowhere"):
        compress(tmp_path / "nowhere", texts=texts, out=tmp_path / "r")
    with pytest.raises(InputError, match="no model file"):
        compress(tmp_path / "lost.gguf", texts=texts, out=tmp_path / "r")


def test_the_output_is_not_the_model(causal, texts):
    with pytest.raises(InputError, match="is the folder of the model"):
        compress(causal, texts=texts, out=causal)


def test_a_disk_too_small_is_told_before_anything_is_seen(causal, texts, tmp_path, monkeypatch):
    """What one ratio needs is there, what six need is not; and later there is room."""
    free = 350_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - free, free))
    compress(causal, texts=texts, ratio=0.5, out=tmp_path / "one")
    many = {"texts": texts, "ratio": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "out": tmp_path / "many"}
    with monkeypatch.context() as patch, pytest.raises(InputError, match="many needs 0.00 GB, .*make room"):
        patch.setattr("harmonia.compress.work.Work.see", lambda _: pytest.fail("was seen"))
        compress(causal, **many)
    free = 10**9
    assert len(compress(causal, resume=True, **many).ratios) == 6


def test_what_no_score_would_allow_is_told_before_anything_is_seen(causal, texts, classifier, tmp_path, monkeypatch):
    monkeypatch.setattr("harmonia.compress.work.Work.see", lambda _: pytest.fail("was seen"))
    for recipe, options, said in (
        ("flap", {"fold_bias": False}, r"layers\.0\.self_attn\.o_proj: it has no bias to mend, .*--fold-bias"),
        ("flap", {"ratio": 0.99}, "leaves fewer parameters than one unit of each of 4 layers"),
        ("liar-wifv", {"statistics": tmp_path / "file" / "x"}, "--statistics .*: .*file is a file; name a folder"),
    ):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match=said):
            compress(causal, recipe, texts=texts, out=tmp_path / "r", **options)
    with pytest.raises(InputError, match="is a classifier, whose loss needs labels: name their column with --label"):
        compress(classifier, "kwon", texts=texts, out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_gradients_are_refused_where_there_are_none(causal, texts, tmp_path):
    with torch.inference_mode(), pytest.raises(InputError, match="there are none inside of torch.inference_mode"):
        compress(causal, "liar-taylor", texts=texts, out=tmp_path / "r")


def test_tensors_of_other_tasks_are_left_out(tmp_path, texts):
    """As BERT comes from the Hub: with a pooler, a second head and positions that its class does not have."""
    masked = tiny.bert(auto=transformers.AutoModelForMaskedLM)
    folder = folders.folder(masked, tmp_path / "m", special=True)
    more = {
        "cls.seq_relationship.weight": lambda _: torch.ones(2, 32),
        "bert.pooler.dense.weight": lambda _: torch.ones(32, 32),
        "bert.embeddings.position_ids": lambda _: torch.arange(64)[None],
    }
    for name, change in more.items():
        changed(name, change)(folder)
    result = compress(folder, texts=texts, ratio=0.5, out=tmp_path / "r")
    assert result.summary["architecture"] == "BertForMaskedLM" and result.summary["points"][0]["score"] > 0


def test_gpt2_as_it_comes_from_the_hub(tmp_path, texts):
    folder = folders.folder(tiny.gpt2(), tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    for layer in range(2):
        bare[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 64, 64)
        bare[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    dense = Dense.open(folder)
    save_file(bare, folder / "model.safetensors", metadata={"format": "pt"})
    assert Dense.open(folder).fingerprint == dense.fingerprint


def test_activations_that_are_not_finite_name_their_layer(tmp_path, texts):
    model = tiny.llama()
    model.model.layers[1].mlp.up_proj.weight.fill_(1e30)
    model.model.layers[1].mlp.gate_proj.weight.fill_(1e30)
    folder = folders.folder(model, tmp_path / "m")
    with pytest.raises(InputError, match=r"model\.layers\.1\.mlp\.down_proj: activations are NaN or infinite"):
        compress(folder, texts=texts, out=tmp_path / "r")


def test_every_recipe_says_where_it_comes_from():
    for recipe in BOOK:
        assert BOOK.meaning(recipe.name).endswith(".")
        recipe.check()
    assert BOOK.get("liar").name == "liar-wifv"


def test_a_budget_of_time_is_measured_once_and_kept(causal, texts, tmp_path, monkeypatch):
    from harmonia.models import pruned

    calls = []

    def seconds(models, *, batch, length, repeats, warm=2):
        """Time that grows with the neurons of the first layer, and with its heads."""
        calls.append(len(models))
        layers = [m.model.layers[0] for m in models]
        return [(10 + m.mlp.up_proj.weight.shape[0] + 3 * m.self_attn.o_proj.weight.shape[1]) / length for m in layers]

    monkeypatch.setattr(pruned, "seconds_per_token", seconds)
    asked = {"ratio": 0.5, "settings": ["allocation=latency-search"], "timed": False}
    result = compress(causal, "none-wifv", texts=texts, out=tmp_path / "r", **asked)
    assert calls == [5, 5]
    curves = json.loads((tmp_path / "r" / "state" / "latency.json").read_text())
    sizes = {row["name"].rsplit(".", 1)[1]: row for row in result.summary["points"][0]["layers"]}
    assert curves["neurons"]["slope"] > 0 and curves["heads"]["slope"] > 0 and sizes
    time = full = 0.0
    for row in result.summary["points"][0]["layers"]:
        curve = curves["heads" if "o_proj" in row["name"] else "neurons"]
        time += curve["slope"] * max(0, row["kept"] - curve["threshold"])
        full += curve["slope"] * max(0, row["units"] - curve["threshold"])
    assert time <= 0.5 * full * (1 + 1e-9)
    again = compress(causal, "none-wifv", texts=texts, out=tmp_path / "r", resume=True, **asked)
    assert calls == [5, 5] and again.summary == result.summary
