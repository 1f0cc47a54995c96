import pytest
from pydantic import TypeAdapter, ValidationError

from harmonia.core.part import parts_in, shorthand
from harmonia.merge.bridging import AnyBridging, NoBridging, Projector
from harmonia.merge.routing import AnyRouting, NoRouting, Ppl, TaskVector, TokenLinear

ROUTINGS = parts_in(AnyRouting)


def test_every_part_is_found_by_its_kind():
    for axis in (AnyRouting, AnyBridging):
        for part in parts_in(axis):
            made = TypeAdapter(axis).validate_python({"kind": part.kind_name()})
            assert type(made) is part and part.meaning().endswith((".", ":"))
    assert len({part.kind_name() for part in ROUTINGS}) == len(ROUTINGS) == 10


def test_how_each_decides():
    decides = {part.kind_name(): part().decides() for part in ROUTINGS if part is not NoRouting}
    assert decides == {
        "token-linear": "token-gate",
        "ppl": "ppl",
        "task-vector": "task-vector",
        "sequence-linear": "sequence-gate",
        **dict.fromkeys(("hidden-prompt", "cheap-embed", "random", "uniform-random", "ridge-router"), "token-gate"),
    }
    assert not NoRouting.is_mixture and not NoBridging.bridges and Projector.bridges
    NoRouting().check(1, base=False, examples=False, bridged=False)


def test_defaults_are_published_ones():
    assert (Ppl().top_k, Ppl().score, Ppl().mix, Ppl().shared) == (2, "inv_ppl", "trunk", "embed-head")
    assert (TokenLinear().top_k, TokenLinear().shared, TokenLinear().weight_decay) == (2, "non-ffn", 0.01)
    assert shorthand("ppl:1", ROUTINGS) == {"kind": "ppl", "top_k": 1}


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        (Ppl, {"top_k": 0}),
        (Ppl, {"ppl_tokens": 1}),
        (Ppl, {"temperature": 0}),
        (TaskVector, {"layers": 0}),
        (Projector, {"layers": 0}),
    ],
)
def test_fields_have_bounds(part, fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        part(**fields)
