import pytest

from harmonia.core.errors import InputError
from harmonia.merge.tensor_weights import counts_of, read_patterns

NAMES = ["embed", "layers.0.up", "layers.10.up", "norm"]


def test_the_first_pattern_decides_and_others_keep_the_common_weights():
    found = counts_of({r"layers\.0\.": (1, 0), "layers": (0, 2)}, NAMES, 2)
    assert found == {"layers.0.up": [1.0, 0.0], "layers.10.up": [0.0, 2.0]}


@pytest.mark.parametrize(
    ("patterns", "match"),
    [
        ({"layers[": (1, 0)}, r"weights of 'layers\[': not a regular expression"),
        ({"layers": (1,)}, "weights of 'layers': 1 for 2 experts; give one for each"),
        ({"blocks": (1, 0)}, "weights of 'blocks': matches none of the tensors, which are called like embed"),
        ({"layers": (1, 0), "layers.0": (0, 1)}, "weights of 'layers.0': earlier patterns match all that it does"),
    ],
)
def test_what_cannot_be_used_is_named(patterns, match):
    with pytest.raises(InputError, match=match):
        counts_of(patterns, NAMES, 2)


def test_files_of_patterns(tmp_path):
    path = tmp_path / "w.json"
    path.write_text('{"embed": [1, 0.5], "layers": [0, 1]}')
    assert read_patterns(path) == {"embed": [1.0, 0.5], "layers": [0.0, 1.0]}
    for text in ("- 1", "embed: 1", "embed: [yes, no]", "embed: [a]", ""):
        path.write_text(text)
        with pytest.raises(InputError, match="a mapping of patterns to the experts' weights is needed"):
            read_patterns(path)
    path.write_text("a: [1")
    with pytest.raises(InputError, match="not valid YAML"):
        read_patterns(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_patterns(tmp_path / "none.yaml")
