import pytest
from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.models.mixture.parts import is_shared, kind_of
from harmonia.models.mixture.record import owner_of, stored_name

NAMES = [name for kind in ("llama", "mistral", "qwen2", "qwen3") for name, _ in tiny.llama(kind).named_parameters()]


def test_every_tensor_of_a_supported_decoder_has_a_place():
    assert {kind_of(name) for name in NAMES} == {"ffn", "attention", "norm", "ends"}
    sizes = [sum(is_shared(n, s) for n in NAMES) for s in ("non-ffn", "non-ffn-non-attn", "embed-head", "nothing")]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] == 0 and sizes[2] == 3 * 4


@pytest.mark.parametrize("layout", ["harmonia", "mixtral", "qwen3_moe"])
def test_names_in_files_lead_back(layout):
    for name in NAMES:
        owner = "shared" if is_shared(name, "non-ffn") else 7
        assert owner_of(stored_name(owner, name, layout), layout) == (owner, name)
    assert owner_of(stored_name("router", "layers.3", layout), layout) == ("router", "layers.3")
    if layout == "harmonia":
        for owner in ("base", "bridge", 12):
            assert owner_of(stored_name(owner, "0.in.0.weight", layout), layout) == (owner, "0.in.0.weight")


def test_other_names_are_refused():
    with pytest.raises(InputError, match=r"tensor transformer.h.0.mlp.c_fc.weight is not one of a Llama-type decoder"):
        kind_of("transformer.h.0.mlp.c_fc.weight")
    with pytest.raises(InputError, match="tensor odd is none of a mixture of harmonia"):
        owner_of("odd", "harmonia")
