import pytest

from harmonia.core.errors import InputError
from harmonia.data.partitions import IID, PARTITIONS, PCDD, Column, Dirichlet, FeatureNoise, LabelK, parse_partition


@pytest.mark.parametrize(
    "text, expected",
    [
        ("iid", IID()),
        ("pcdd:3", PCDD(classes=3)),
        ("dirichlet", Dirichlet()),
        ("dirichlet:0.1", Dirichlet(beta=0.1)),
        ("dirichlet:0.1,min_size=3,balanced=false", Dirichlet(beta=0.1, min_size=3, balanced=False)),
        ("dirichlet:min_size=3", Dirichlet(min_size=3)),
        ("label_k:2", LabelK(k=2)),
        ("feature-noise:0", FeatureNoise(sigma=0)),
        ("column:domain", Column(name="domain")),
        ("column:2024", Column(name="2024")),
    ],
)
def test_one_word(text, expected):
    assert parse_partition(text) == expected


@pytest.mark.parametrize(
    "text, message",
    [
        ("dirichlt:0.1", r"no partition 'dirichlt'; did you mean 'dirichlet'\?"),
        ("", "no partition ''; known: column, dirichlet"),
        ("iid:3", r"'iid:3': '3' belongs to no field of iid; it has no settings"),
        ("pcdd:2,3", r"'3' belongs to no field of pcdd; write field=value with classes"),
        ("pcdd:0", r"partition 'pcdd:0': classes: input should be greater than or equal to 1 \(given 0\)"),
        ("pcdd:two", "partition 'pcdd:two': classes: input should be a valid integer"),
        ("dirichlet:-1", r"beta: input should be greater than 0 \(given -1\)"),
        ("dirichlet:beat=1", r"beat: unknown field; did you mean 'beta'\?"),
        ("dirichlet:[", r"'dirichlet:\[': '\[' is not a YAML value"),
        ("column", "partition 'column': name: this field is required"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(InputError, match=message):
        parse_partition(text)


def test_the_main_field_is_a_field():
    for part in PARTITIONS.values():
        assert part.main in part.model_fields or (part is IID and not part.main)
