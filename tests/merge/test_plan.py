import pytest
import torch
from tests.data.checkpoints.saved import SHAPES, drawn, moved, saved

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import open_checkpoint
from harmonia.merge.plan import plan

HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


@pytest.fixture
def make(tmp_path):
    def made(name, tensors=None, **options):
        return open_checkpoint(saved(tmp_path / name, drawn() if tensors is None else tensors, **options))

    return made


def without(tensors, *names):
    return {name: tensor for name, tensor in tensors.items() if name not in names}


def names_of(made):
    return [tensor.slot.name for tensor in made.merged]


def test_order_is_that_of_the_bases_files(make):
    base = make("b", shards=3)
    made = plan([make("e", moved(drawn(), 1)), make("f")], base)
    assert names_of(made) == list(base.tensors) and set(base.tensors) == set(SHAPES)
    assert made.copied == () and made.dropped == () and made.tied == ()
    assert made.inputs == [base.folder, base.folder.parent / "e", base.folder.parent / "f"]


def test_the_first_expert_is_the_reference_without_a_base(make):
    made = plan([make("e", dtype=torch.bfloat16, tensors=None), make("f")])
    assert made.reference.folder.name == "e" and made.base is None and len(made.merged) == len(SHAPES)


def test_what_does_not_match_is_listed(make):
    base, tensors = make("b"), drawn()
    with pytest.raises(InputError, match="e lacks tensor model.norm.weight of .*b; .* unmatched=reference"):
        plan([make("e", without(tensors, "model.norm.weight"))], base)
    more = {f"score.{i}": torch.ones(2) for i in range(7)}
    with pytest.raises(InputError, match="f has tensors score.0, .*score.4 and 2 more that .*b lacks"):
        plan([make("f", {**tensors, **more})], base)
    with pytest.raises(
        InputError, match=r"model.norm.weight has shape \[7\] in .*g and \[6\] in .*b; is it a fine-tune"
    ):
        plan([make("g", {**tensors, "model.norm.weight": torch.ones(7)})], base)
    larger = {**tensors, EMBEDDING: torch.ones(15, 6), HEAD: torch.ones(15, 6)}
    with pytest.raises(InputError, match="h has a vocabulary of 15 and .*b one of 13 .*align their tokenizers"):
        plan([make("h", larger)], base)


def test_what_does_not_match_can_be_the_references(make):
    tensors = drawn()
    other = {**without(tensors, "model.norm.weight"), EMBEDDING: torch.ones(15, 6), "score": torch.ones(2)}
    made = plan([make("e", other), make("f")], make("b"), unmatched="reference")
    assert set(made.copied) == {"model.norm.weight", EMBEDDING}
    assert [extra for _, extra in made.dropped] == [("score",)]
    assert set(names_of(made)) == set(SHAPES) - set(made.copied)
    with pytest.raises(InputError, match="no weights in common: nothing to merge"):
        plan([make("g", {"x": torch.ones(2)})], make("c"), unmatched="reference")


@pytest.mark.parametrize("trunk", ["b", "e"])
def test_a_trunk_saved_with_or_without_its_prefix(make, trunk):
    full = without(drawn(), HEAD)
    bare = {name.removeprefix("model."): tensor for name, tensor in full.items()}
    base, expert = (make("b", bare), make("e", full)) if trunk == "b" else (make("b", full), make("e", bare))
    made = plan([expert], base)
    assert len(made.merged) == len(full)
    assert all(t.experts[0].removeprefix("model.") == t.slot.name.removeprefix("model.") for t in made.merged)


def test_an_output_layer_that_some_store_and_some_tie(make):
    tensors = drawn()
    tied = {**tensors, HEAD: tensors[EMBEDDING].clone()}
    once, twice = without(tensors, HEAD), {"tie_word_embeddings": True}
    assert plan([make("e", once, config=twice)], make("b", tied, config=twice)).tied == ((HEAD, EMBEDDING),)
    assert HEAD not in names_of(plan([make("f", tied, config=twice)], make("c", once, config=twice)))
    untied = plan([make("g", once, config=twice)], make("d", tensors))
    assert {t.slot.name: t.experts for t in untied.merged}[HEAD] == (EMBEDDING,) and untied.tied == ()
    with pytest.raises(InputError, match="h has tensor lm_head.weight that .*c2 lacks"):
        plan([make("h", tensors, config=twice)], make("c2", once, config=twice))
    with pytest.raises(InputError, match="i lacks tensor lm_head.weight"):
        plan([make("i", once)], make("d2", tensors))  # its configuration says that it is not tied


def test_buffers_are_no_weights(make):
    mask = {"h.0.attn.bias": torch.ones(1, 1, 4, 4), "model.rotary_emb.inv_freq": torch.ones(3)}
    places = {"embeddings.position_ids": torch.arange(5)}
    made = plan([make("e"), make("f", {**drawn(), **mask})], make("b", {**drawn(), **mask, **places}))
    assert set(made.copied) == {*mask, *places}
    assert plan([make("g", {**drawn(), **mask})], make("c")).copied == ()


def test_integers_must_agree(make):
    base = make("b", {**drawn(), "steps": torch.arange(3)})
    assert plan([make("e", {**drawn(), "steps": torch.arange(3)})], base).copied == ("steps",)
    with pytest.raises(InputError, match="steps is I64 and differs between .*b and .*f: integers cannot be merged"):
        plan([make("f", {**drawn(), "steps": torch.arange(3) + 1})], base)


def test_quantised_weights_are_refused(make):
    with pytest.raises(InputError, match=r"e is quantised \(w is I8\) and cannot be merged: .*dequantise"):
        plan([make("e", {**drawn(), "w": torch.ones(2, dtype=torch.int8)})], make("b"))
    with pytest.raises(InputError, match=r"f is quantised \(w is F8_E4M3\)"):
        plan([make("f", {**drawn(), "w": torch.ones(2).to(torch.float8_e4m3fn)})], make("c"))
    with pytest.raises(InputError, match="g is quantised .config.json has a quantization_config"):
        plan([make("g", config={"quantization_config": {"bits": 4}})], make("d"))
    with pytest.raises(InputError, match="no experts to merge"):
        plan([], make("h"))


def test_the_type_of_the_result(make):
    made = plan([make("e")], make("b", config={"torch_dtype": "float32"}), dtype="bfloat16")
    assert {t.slot.dtype for t in made.tensors} == {"BF16"} and made.config()["torch_dtype"] == "bfloat16"
    plain = plan([make("f")], make("c", drawn(dtype=torch.float16)))
    assert {t.slot.dtype for t in plain.tensors} == {"F16"} and "torch_dtype" not in plain.config()
    with pytest.raises(InputError, match="dtype 'int8': weights are written as float32, bfloat16, float16, float64"):
        plan([make("g")], make("d"), dtype="int8")


def test_the_estimate_counts_bytes(make):
    weights = sum(t.numel() for t in drawn().values())
    made = plan([make("e", dtype=torch.bfloat16, tensors=drawn(dtype=torch.bfloat16)), make("f")], make("b"))
    found = made.estimate(threads=2)
    assert found.bytes_read == weights * (4 + 2 + 4) and found.bytes_written == weights * 4
    assert made.estimate(base=False).bytes_read == weights * 6
    assert found.disk >= found.bytes_written
    assert made.estimate(threads=4).memory > found.memory > made.estimate(threads=2, piece=10).memory
