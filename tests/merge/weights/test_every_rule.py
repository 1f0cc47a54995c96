"""What holds for every rule: pieces, order of work, order of experts, limits, and what is refused."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from harmonia.core.errors import InputError
from harmonia.core.part import parts_in
from harmonia.merge.weights import (
    AdaMerging,
    AnyWeights,
    Breadcrumbs,
    BreadcrumbsTies,
    DareLinear,
    DareTies,
    Della,
    DellaLinear,
    Fisher,
    Linear,
    ModelStock,
    MultiSlerp,
    Pcb,
    RegMean,
    Sce,
    Slerp,
    TaskArithmetic,
    Ties,
)

RULES = [
    Linear(),
    TaskArithmetic(scaling=0.4),
    Ties(),
    Ties(scope="tensor", density=0.35),
    Ties(official_threshold=True, undecided="majority", normalize=False, scaling="1/n"),
    DareLinear(),
    DareLinear(rescale="l1", density=0.3),
    DareTies(normalize=True),
    DareTies(rescale="none"),
    Breadcrumbs(density=0.6, gamma=0.1),
    BreadcrumbsTies(density=0.9),
    DellaLinear(),
    Della(density=0.6, rescale="l1"),
    Sce(density=0.3),
    MultiSlerp(),
    ModelStock(),
    Pcb(ratio=0.3),
    Fisher(normalize=True),
    RegMean(),
]
ALIKE = [ModelStock]
"""Rules that count all experts alike."""
RANDOM = (DareLinear, DareTies, DellaLinear, Della)


def statistics(tensors):
    random = np.random.default_rng(3)
    grams = {}
    for name, (base, experts) in tensors.items():
        if base.ndim == 2:
            inputs = random.standard_normal((len(experts), 200, base.shape[1]))
            grams[name] = [x.T @ x / len(x) for x in inputs]
    return {
        "fisher": {
            name: [random.random(base.shape) ** 4 for _ in experts] for name, (base, experts) in tensors.items()
        },
        "gram": grams,
    }


def name_of(rule):
    return "-".join([rule.kind, *(f"{key}={value}" for key, value in rule.model_dump(exclude_defaults=True).items())])


def two(tensors):
    return {name: (base, experts[:2]) for name, (base, experts) in tensors.items()}


@pytest.mark.parametrize("rule", [*RULES, Slerp(t=0.3)], ids=name_of)
def test_bit_for_bit_the_same_whatever_the_pieces_and_the_order_of_work(rule, merge_model, tangled):
    tensors = two(tangled) if rule.exactly == 2 else tangled
    weights = [0.5, 1.25, 1][: rule.exactly or 3] if type(rule) not in ALIKE else None
    seen = statistics(tensors)
    whole = merge_model(rule, tensors, weights, statistics=seen)
    for piece, order in ((1, None), (7, [2, 0, 1]), (4096, [1, 2, 0])):
        parts = merge_model(rule, tensors, weights, piece=piece, statistics=seen, order=order)
        for name, (base, _) in tensors.items():
            assert parts[name].shape == base.shape
            assert (parts[name].view(np.uint32) == whole[name].view(np.uint32)).all(), (piece, name)
        again = {name: merged.tobytes() for name, merged in parts.items()}
    assert again == {name: merged.tobytes() for name, merged in whole.items()}


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_pieces_of_long_tensors(rule, merge_model):
    random = np.random.default_rng(0)
    base = random.standard_normal((300, 64)).astype(np.float32)
    tensors = {"long": (base, [base + 0.01 * random.standard_normal(base.shape).astype(np.float32) for _ in range(3)])}
    seen = statistics(tensors)
    whole = merge_model(rule, tensors, statistics=seen)["long"]
    for piece in (1000, 4096, 5000):
        assert (merge_model(rule, tensors, statistics=seen, piece=piece)["long"] == whole).all()


@pytest.mark.parametrize("rule", [rule for rule in RULES if not isinstance(rule, RANDOM)], ids=name_of)
def test_the_order_of_experts_does_not_matter(rule, merge_model, tangled):
    if isinstance(rule, (Ties, Sce, BreadcrumbsTies)):
        # where sums are rounded in another order, votes that nearly cancel out may be decided otherwise
        random = np.random.default_rng(1)
        tangled = {
            name: (b, [e + random.standard_normal(b.shape) / 50 for e in es]) for name, (b, es) in tangled.items()
        }
    weights = [0.5, 1.25, 1] if type(rule) not in ALIKE else None
    seen, turned = statistics(tangled), [2, 0, 1]
    before = merge_model(rule, tangled, weights, statistics=seen)
    after = merge_model(
        rule,
        {name: (base, [experts[i] for i in turned]) for name, (base, experts) in tangled.items()},
        weights and [weights[i] for i in turned],
        statistics={kind: {k: [v[i] for i in turned] for k, v in found.items()} for kind, found in seen.items()},
    )
    for name in tangled:
        np.testing.assert_allclose(after[name], before[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "rule",
    [rule for rule in RULES if not isinstance(rule, (ModelStock, Pcb, *RANDOM))]
    + [DareLinear(density=1, rescale=rescale) for rescale in ("unbiased", "l1", "none")]
    + [DellaLinear(density=1, epsilon=0)],
    ids=name_of,
)
def test_one_expert_alone(rule, merge_model, tangled):
    """Keeping everything, at lambda = 1, one expert comes out as it is."""
    fields = type(rule).model_fields
    changes = {"density": 1.0, "gamma": 0.0, "scaling": 1.0, "ratio": 1.0}
    rule = rule.model_copy(update={key: value for key, value in changes.items() if key in fields})
    tensors = {name: (base, experts[:1]) for name, (base, experts) in tangled.items()}
    merged = merge_model(rule, tensors, statistics=statistics(tensors))
    for name, (_, [expert]) in tensors.items():
        np.testing.assert_allclose(merged[name], expert, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", [rule for rule in RULES if "scaling" in type(rule).model_fields], ids=name_of)
def test_lambda_zero_is_the_base(rule, merge_model, tangled):
    merged = merge_model(rule.model_copy(update={"scaling": 0.0}), tangled)
    for name, (base, _) in tangled.items():
        assert (merged[name] == base).all()


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_experts_that_are_all_the_base_give_the_base(rule, merge_model, tangled):
    tensors = {name: (base, [base] * 3) for name, (base, _) in tangled.items()}
    merged = merge_model(rule, tensors, statistics=statistics(tensors))
    for name, (base, _) in tangled.items():
        np.testing.assert_allclose(merged[name], base, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "rule",
    [rule for rule in RULES if getattr(rule, "normalize", None) or isinstance(rule, (MultiSlerp, RegMean))],
    ids=name_of,
)
def test_a_factor_of_all_weights_does_not_matter_when_they_are_normalised(rule, merge_model, tangled):
    seen = statistics(tangled)
    one = merge_model(rule, tangled, [0.5, 1.25, 1], statistics=seen)
    eight = merge_model(rule, tangled, [4, 10, 8], statistics=seen)
    for name in tangled:
        np.testing.assert_allclose(eight[name], one[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", [rule for rule in RULES if not isinstance(rule, RegMean)], ids=name_of)
def test_scalars(rule, merge):
    merged = merge(rule, [1.0, 1.5, 2.0], 1.0, statistics={"fisher": [1.0, 2.0, 3.0]})
    assert merged.shape == () and 0.9 < merged < 4


def test_every_kind_is_one_of_the_axis():
    kinds = {part.kind_name() for part in parts_in(AnyWeights)}
    assert kinds == {rule.kind for rule in [*RULES, Slerp(), AdaMerging()]}
    for kind in kinds:
        assert TypeAdapter(AnyWeights).validate_python({"kind": kind}).kind == kind


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.needs_base], ids=name_of)
def test_no_base_is_refused(rule):
    with pytest.raises(InputError, match=f"weights={rule.kind} works on expert - base: give the base"):
        rule.check(3, False, [1, 1, 1])


def test_wrong_numbers_of_experts_are_refused():
    with pytest.raises(InputError, match="weights=slerp merges exactly 2 experts, and there are 3"):
        Slerp().check(3, False, [1, 1, 1])
    with pytest.raises(InputError, match="weights=model-stock needs at least 2 experts, and there are 1"):
        ModelStock().check(1, True, [1])
    with pytest.raises(InputError, match="weights=linear needs at least 1 experts, and there are 0"):
        Linear().check(0, True, [])
    with pytest.raises(InputError, match="2 weights for 3 experts: give one for each"):
        Linear().check(3, False, [1, 1])
    with pytest.raises(InputError, match="weights=model-stock counts all experts alike"):
        ModelStock().check(2, True, [1, 2])


@pytest.mark.parametrize("rule", [Linear(), Ties(), TaskArithmetic(normalize=True), Fisher(), Slerp()], ids=name_of)
def test_weights_that_sum_to_zero_are_refused(rule):
    with pytest.raises(InputError, match="the weights 1, -1 sum to 0, so nothing can be divided by it"):
        rule.check(2, True, [1, -1])


def test_negative_weights_are_refused_where_they_have_no_meaning():
    with pytest.raises(InputError, match="multislerp is a mean of directions: give weights that are not negative"):
        MultiSlerp().check(2, False, [2, -1])
    with pytest.raises(InputError, match="regmean is a regression .* give weights above 0"):
        RegMean().check(2, False, [1, 0])


def test_a_wrong_number_of_experts_is_refused_before_anything_is_merged(merge):
    with pytest.raises(InputError, match="exactly 2"):
        merge(Slerp(), [[1.0], [2.0], [3.0]])
    with pytest.raises(InputError, match="sum to 0"):
        merge(Linear(), [[1.0], [2.0]], counts=[1.0, -1.0])


@pytest.mark.parametrize("part", [Ties, DareLinear, DareTies, Breadcrumbs, BreadcrumbsTies, Della, DellaLinear, Sce])
@pytest.mark.parametrize("density", [0, -0.1, 1.1])
def test_densities_outside_0_to_1_are_refused(part, density):
    with pytest.raises(ValidationError, match="density"):
        part(density=density)
