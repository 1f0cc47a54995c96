# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.models.pruned import FAMILIES, family_of, walk

ENCODERS, DECODERS = FAMILIES[0].model_types, FAMILIES[2].model_types


def made(kind):
    if kind == "gpt2":
        return tiny.gpt2(layers=3)
    if kind in ENCODERS:
        return tiny.bert(kind, layers=3)
    # one of the layers sees a window of three tokens only, where the architecture has such layers
    windows = {"layer_types": ["full_attention", "sliding_attention", "full_attention"], "sliding_window": 3}
    if kind == "qwen3":
        windows["use_sliding_window"] = True
    return tiny.llama(kind, layers=3, **(windows if kind in ("qwen3", "gemma2", "gemma3_text") else {}))


@pytest.mark.parametrize("kind", [*ENCODERS, "gpt2", *DECODERS])
def test_block_by_block_is_the_forward_pass_bit_for_bit(kind):
    model, batches = made(kind), [tiny.batch((9, 5)), tiny.batch((4, 4, 4), first=2)]
    wanted = [[] for _ in batches]
    for place, batch in enumerate(batches):
        hooks = [
            block.register_forward_hook(lambda m, x, y, place=place: wanted[place].append(y))
            for block in family_of(model).blocks(model)
        ]
        tiny.output(model, batch)
        for hook in hooks:
            hook.remove()
    layers = []
    for step in walk(model, batches):
        layers.append(step.layer)
        for place, (batch, before, after) in enumerate(step.run()):
            assert batch is batches[place]
            out = wanted[place][step.layer]
            assert torch.equal(after, out[0] if isinstance(out, tuple) else out)
            if step.layer:
                out = wanted[place][step.layer - 1]
                assert torch.equal(before, out[0] if isinstance(out, tuple) else out)
    assert layers == [0, 1, 2]


def test_the_model_is_whole_at_once_and_after_an_error():
    model, batch = tiny.llama(), tiny.batch()
    blocks = list(family_of(model).blocks(model))
    next(walk(model, [batch]))
    assert list(family_of(model).blocks(model)) == blocks
    bad = type(batch)(batch.rows, batch.ids + 10**6, batch.mask)
    with pytest.raises(IndexError):
        next(walk(model, [bad]))
    assert list(family_of(model).blocks(model)) == blocks


def test_a_change_of_a_block_reaches_those_behind_it():
    model, batch = tiny.llama(), tiny.batch()
    steps = walk(model, [batch])
    first = next(steps)
    hook = first.block.mlp.register_forward_hook(lambda m, x, y: 0 * y)
    wanted = tiny.output(model.model, batch)
    list(first.run())
    hook.remove()
    ((_, _, after),) = next(steps).run()
    assert torch.equal(model.model.norm(after), wanted)


def test_no_batches():
    with pytest.raises(InputError, match="no tokens to calibrate on"):
        next(walk(tiny.llama(), []))
