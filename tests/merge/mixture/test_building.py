import json

import pytest
import torch
import transformers
from safetensors.torch import load_file
from tests.merge.mixture.small import PAIR, TRIPLE, built, family, kept, logits, shown
from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import Checkpoint, open_checkpoint
from harmonia.merge.bridging import NoBridging
from harmonia.merge.mixture.building import build_mixture
from harmonia.merge.routing import (
    HiddenPrompt,
    Ppl,
    Random,
    RidgeRouter,
    TaskVector,
    TokenLinear,
)
from harmonia.merge.routing.examples import Examples
from harmonia.merge.weights import DareLinear, Linear, Ties
from harmonia.models.mixture.folder import load, save


def test_the_least_surprised_expert_alone_is_that_expert_exactly(tmp_path):
    models, (_, *experts) = family(tmp_path, moved=0.3)
    mixture = built(tmp_path, experts, Ppl(top_k=1, shared="nothing"))
    chosen = set()
    for seed in range(6):
        batch = tiny.batch((9,), seed=seed)
        nats = [m(input_ids=batch.ids, labels=batch.ids).loss.item() for m in models[1:]]
        best = min(range(3), key=nats.__getitem__)
        chosen.add(best)
        assert torch.equal(logits(mixture, batch), logits(models[1 + best], batch))
    assert len(chosen) > 1


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen3"])
@pytest.mark.parametrize("tied", [False, True])
def test_stock_layouts_reproduce_the_logits_in_transformers(tmp_path, kind, tied):
    _, (base, *experts) = family(tmp_path, kind=kind, tie_word_embeddings=tied)
    done = build_mixture(
        experts, tmp_path / "o", rule=Linear(), routing=Random(), bridging=NoBridging(), base=base, shard=20_000
    )
    assert done.is_stock and done.record.layout == {"qwen3": "qwen3_moe"}.get(kind, "mixtral")
    stock, notes = transformers.AutoModelForCausalLM.from_pretrained(done.folder, output_loading_info=True)
    assert not notes["missing_keys"] and not notes["unexpected_keys"]
    batch = tiny.batch((9, 4))
    ours = logits(load(done.folder), batch)
    torch.testing.assert_close(shown(ours, batch), shown(logits(stock.eval(), batch), batch), rtol=1e-5, atol=1e-5)


def test_a_single_file_gets_an_index_that_stock_loaders_follow(tmp_path):
    _, (_, *experts) = family(tmp_path)
    done = build_mixture(experts, tmp_path / "o", rule=Linear(), routing=Random(), bridging=NoBridging())
    assert {path.name for path in done.folder.glob("*.safetensors")} == {
        "model-00001-of-00002.safetensors",
        "router.safetensors",
    }
    places = json.loads((done.folder / "model.safetensors.index.json").read_text())["weight_map"]
    assert len(open_checkpoint(done.folder).tensors) == len(places)
    stock = transformers.AutoModelForCausalLM.from_pretrained(done.folder)
    batch = tiny.batch()
    torch.testing.assert_close(
        shown(logits(load(done.folder), batch), batch), shown(logits(stock, batch), batch), rtol=1e-5, atol=1e-5
    )


def test_what_stock_layouts_cannot_say_is_ours(tmp_path):
    _, (_, *biased) = family(tmp_path / "q", kind="qwen2")
    assert built(tmp_path / "q", biased, Random()).record.layout == "harmonia"
    _, (_, *experts) = family(tmp_path)
    assert built(tmp_path, experts, Ppl(shared="non-ffn")).record.layout == "harmonia"


def test_feed_forward_tensors_are_copied_byte_for_byte_and_shared_ones_merged(tmp_path):
    models, (_, *experts) = family(tmp_path)
    for model, expert in zip(models[1:], experts, strict=True):
        model.to(torch.bfloat16).save_pretrained(expert.folder)
    experts = [open_checkpoint(expert.folder) for expert in experts]
    done = build_mixture(experts, tmp_path / "o", rule=Linear(), routing=Random(), bridging=NoBridging(), piece=100)
    held = load_file(done.folder / "model-00001-of-00002.safetensors")
    theirs = [load_file(expert.folder / "model.safetensors") for expert in experts]
    for i, each in enumerate(theirs):
        moved = held[f"model.layers.1.block_sparse_moe.experts.{i}.w2.weight"]
        assert torch.equal(moved, each["model.layers.1.mlp.down_proj.weight"]) and moved.dtype == torch.bfloat16
    name = "model.layers.0.self_attn.q_proj.weight"
    mean = sum(each[name].float() for each in theirs) / 3
    torch.testing.assert_close(held[name].float(), mean.bfloat16().float())
    assert (done.shared, done.copied) == (3 + 2 * 6, 3 * 2 * 3)
    again = build_mixture(
        experts, tmp_path / "p", rule=Linear(), routing=Random(), bridging=NoBridging(), piece=7, threads=1
    )
    assert all(
        (done.folder / path.name).read_bytes() == path.read_bytes() for path in again.folder.glob("*.safetensors")
    )


def test_rules_leave_out_the_base_as_an_expert(tmp_path):
    models, (base, *experts) = family(tmp_path)
    rule = DareLinear(density=1.0, scaling="1/n")
    name = "model.embed_tokens.weight"
    mixture = built(tmp_path, [base, *experts], Ppl(), base=base, rule=rule)
    mean = sum(model.state_dict()[name] for model in models[1:]) / 3
    torch.testing.assert_close(mixture.embedding.data, mean, rtol=0, atol=1e-6)
    plain = built(tmp_path, [base, *experts], Ppl(), base=base, name="plain")
    mean = sum(model.state_dict()[name] for model in models) / 4
    torch.testing.assert_close(plain.embedding.data, mean, rtol=0, atol=1e-6)


def test_ties_of_one_expert_shares_that_expert(tmp_path):
    models, (base, expert, _, _) = family(tmp_path)
    mixture = built(tmp_path, [base, expert], Ppl(), base=base, rule=Ties(density=1.0, normalize=False))
    torch.testing.assert_close(mixture.embedding.data, models[1].state_dict()["model.embed_tokens.weight"])


@pytest.mark.parametrize(
    "routing", [Ppl(), Ppl(shared="nothing"), Random(), TaskVector(), RidgeRouter(shared="embed-head")]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_saved_and_loaded_the_logits_are_the_same_bit_for_bit(tmp_path, routing, dtype):
    models, checkpoints = family(tmp_path)
    for model, checkpoint in zip(models, checkpoints, strict=True):
        model.to(dtype).save_pretrained(checkpoint.folder)
    base, *experts = [open_checkpoint(checkpoint.folder) for checkpoint in checkpoints]
    mixture = built(tmp_path, experts, routing, base=base, examples=TRIPLE)
    batch = tiny.batch()
    save(mixture, tmp_path / "again", tmp_path / "mixture")
    again = load(tmp_path / "again")
    assert torch.equal(logits(mixture, batch), logits(again, batch))
    assert again.record == mixture.record
    types = [{(o, n): t.dtype for o, n, t in each.named()} for each in (mixture, again)]
    assert types[0] == types[1]


def test_tokenizer_comes_along(tmp_path):
    _, (base, *experts) = family(tmp_path)
    for checkpoint in (base, *experts):
        (checkpoint.folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0}}}))
    built(tmp_path, experts, Ppl(), base=base)
    assert (tmp_path / "mixture" / "tokenizer.json").exists()


def test_an_interrupted_router_is_found_on_resume(tmp_path, monkeypatch):
    _, (_, *experts) = family(tmp_path)
    options = {"rule": Linear(), "routing": RidgeRouter(), "bridging": NoBridging(), "examples": TRIPLE}
    whole = build_mixture(experts, tmp_path / "whole", **options)

    def stop(self, fitting):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RidgeRouter, "fit", stop)
        build_mixture(experts, tmp_path / "o", **options)
    with pytest.raises(InputError, match=r"has no router.safetensors: its router was not finished"):
        load(tmp_path / "o")
    with pytest.raises(InputError, match="holds another mixture; resume with the same settings"):
        build_mixture(experts, tmp_path / "o", **options | {"routing": RidgeRouter(ridge=1.0)}, resume=True)
    build_mixture(experts, tmp_path / "o", **options, resume=True)
    for path in whole.folder.glob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "o" / path.name).read_bytes()


def test_an_interrupted_copy_goes_on_where_it_stopped(tmp_path, monkeypatch):
    _, (base, *experts) = family(tmp_path)
    options = {"rule": DareLinear(), "routing": Ppl(), "bridging": NoBridging(), "base": base, "shard": 20_000}
    whole = build_mixture(experts, tmp_path / "whole", **options)
    left, original = [30], Checkpoint.read_bytes

    def some(self, *rest):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        original(self, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoint, "read_bytes", some)
        build_mixture(experts, tmp_path / "o", **options, threads=1)
    finished = list((tmp_path / "o").glob("*.safetensors"))
    assert 0 < len(finished) < len(list(whole.folder.glob("*.safetensors")))
    with pytest.raises(InputError, match="it has no config.json"):
        load(tmp_path / "o")
    build_mixture(experts, tmp_path / "o", **options, resume=True)
    for path in whole.folder.glob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "o" / path.name).read_bytes()


def test_adapters_are_folded_on_the_way(tmp_path):
    import peft

    models, (base, *_) = family(tmp_path, experts=0)
    tuned = peft.get_peft_model(
        models[0], peft.LoraConfig(target_modules=["up_proj", "q_proj"], init_lora_weights=False)
    )
    tuned.save_pretrained(tmp_path / "adapter")
    adapter = open_checkpoint(tmp_path / "adapter", base)
    mixture = built(tmp_path, [base, adapter], Ppl(top_k=1, shared="nothing"), base=base)
    weights = torch.tensor([[0.0, 1.0]])
    batch = tiny.batch((6,))
    with torch.no_grad():
        found = mixture(input_ids=batch.ids, weights=weights).logits
    torch.testing.assert_close(found, logits(tuned.merge_and_unload(), batch), rtol=1e-4, atol=1e-5)


def refused(match, tmp_path, experts, routing=None, **options):
    with pytest.raises(InputError, match=match):
        built(tmp_path, experts, routing or Ppl(), name="refused", **options)
    assert not (tmp_path / "refused").exists()


def test_bad_input_is_named(tmp_path):
    _, (base, *experts) = family(tmp_path)
    refused("no experts to merge: name at least one", tmp_path, [])
    refused(r"routing.top_k=4 of 3 experts: give 1 to 3", tmp_path, experts, Ppl(top_k=4))
    refused("weights=ties works on expert - base: give the base", tmp_path, experts, rule=Ties())
    refused("routing=task-vector works on base - expert: give the base", tmp_path, experts, TaskVector())
    refused("routing=hidden-prompt takes hidden states of the base", tmp_path, experts, HiddenPrompt(), examples=TRIPLE)
    refused("routing=ridge-router is fitted to texts: give text", tmp_path, experts, RidgeRouter())
    refused("examples of 2 experts for 3", tmp_path, experts, RidgeRouter(), examples=PAIR)
    empty = Examples([[], [tiny.batch()], [tiny.batch()]])
    refused("no examples for expert 1: give at least one text", tmp_path, experts, RidgeRouter(), examples=empty)
    refused(
        r"shared=embed-head experts have attention of their own", tmp_path, experts, TokenLinear(shared="embed-head")
    )
    refused("2 weights for 3 experts", tmp_path, experts, counts=[1, 2])
    refused("the only expert is the base itself", tmp_path, [base], Ppl(top_k=1), base=base, rule=Ties())
    odd = kept(tiny.llama(neurons=40), tmp_path / "odd")
    refused(
        r"differ in shape: model.layers.0.mlp.\w+.weight \[\d+, \d+\] and .* and 3 more; .* bridging=projector",
        tmp_path,
        [experts[0], odd],
    )
    deeper = kept(tiny.llama(layers=3), tmp_path / "deeper")
    refused(r"model.layers.2\S+ \[.*\] and nothing", tmp_path, [deeper, experts[0]])
    wide = kept(tiny.llama(hidden=48), tmp_path / "wide")
    refused("experts of widths 32, 48: take bridging=projector", tmp_path, [experts[0], wide])
    tied = kept(tiny.llama(tie_word_embeddings=True), tmp_path / "tied")
    refused("has its head tied to its embedding and .* has a head of its own: untie", tmp_path, [experts[0], tied])
    gpt = kept(tiny.gpt2(), tmp_path / "gpt2")
    refused("is a 'gpt2': mixtures are made of llama, mistral, qwen2, qwen3", tmp_path, [gpt, gpt])
    mixture = build_mixture(experts, tmp_path / "moe", rule=Linear(), routing=Random(), bridging=NoBridging())
    refused(
        r"is a mixture of experts already \(num_local_experts=3\): merging would break its router",
        tmp_path,
        [open_checkpoint(mixture.folder)] * 2,
    )
    record = json.loads((experts[0].folder / "config.json").read_text())
    (experts[0].folder / "config.json").write_text(json.dumps(record | {"quantization_config": {"bits": 4}}))
    refused("is quantised .* take the original weights", tmp_path, [open_checkpoint(experts[0].folder), experts[1]])


def test_tokenizers_that_differ_are_refused(tmp_path):
    _, (_, *experts) = family(tmp_path, experts=2)
    for words, expert in zip(({"a": 0, "b": 1}, {"b": 0, "a": 1}), experts, strict=True):
        (expert.folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": words}, "added_tokens": []}))
    refused(r"have different tokenizers \(2 tokens", tmp_path, experts)


def test_an_adapter_without_its_base_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="is an adapter that names no base: say which model it belongs to"):
        open_checkpoint(tmp_path / "a")


def test_numbers_that_are_not_finite_are_named(tmp_path):
    models, (_, *experts) = family(tmp_path)
    models[1].model.embed_tokens.weight[3, 3] = float("nan")
    models[1].save_pretrained(experts[0].folder)
    with pytest.raises(InputError, match=r"tensor model.embed_tokens.weight has NaN or infinite numbers"):
        built(tmp_path, [open_checkpoint(experts[0].folder), experts[1]], Ppl())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config.pop("harmonia_mixture"), "is not a mixture of harmonia: its config.json has no"),
        (lambda config: config["harmonia_mixture"].update(version=9), "a mixture of another version of harmonia"),
        (lambda config: config["harmonia_mixture"].update(odd=9), "the record harmonia_mixture .* is damaged"),
        (lambda config: config["harmonia_mixture"].pop("experts"), "the record harmonia_mixture .* is damaged"),
        (lambda config: config["harmonia_mixture"]["configs"][0].update(hidden_size=64), "the tensors do not fit"),
    ],
)
def test_damaged_folders_are_named(tmp_path, change, message):
    _, (_, *experts) = family(tmp_path)
    built(tmp_path, experts, Ppl())
    config = json.loads((tmp_path / "mixture" / "config.json").read_text())
    change(config)
    (tmp_path / "mixture" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=message):
        load(tmp_path / "mixture")
    with pytest.raises(InputError, match="is not the folder of a mixture: it has no config.json"):
        load(tmp_path)


def test_feed_forward_tensors_are_never_decoded(tmp_path, monkeypatch):
    _, (_, *experts) = family(tmp_path)
    read, original = set(), Checkpoint.read
    monkeypatch.setattr(Checkpoint, "read", lambda self, name, *rest: (read.add(name), original(self, name, *rest))[1])
    build_mixture(experts, tmp_path / "o", rule=Linear(), routing=Random(), bridging=NoBridging())
    assert read and not any(".mlp." in name for name in read)
