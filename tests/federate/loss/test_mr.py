import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from harmonia.core.errors import InputError
from harmonia.federate.loss import MR, MRIntra
from harmonia.federate.loss.mr import Prototypes, prototype_margin
from harmonia.federate.needs import Needs
from harmonia.maths.class_means import class_members


def by_definition(features, labels, prototypes, known, margin):
    """Distances of every row to every prototype, class by class."""
    classes, width = prototypes.shape
    total, pairs = 0.0, 0
    for c in labels.unique().tolist():
        own = features[labels == c]
        for other in range(classes):
            if other == c or not known[c] or not known[other]:
                continue
            nearer = (own - prototypes[c]).square().sum(dim=1) - (own - prototypes[other]).square().sum(dim=1)
            total += max(0.0, margin + float(nearer.mean()) / width)
            pairs += 1
    return total / max(pairs, 1)


def drawn(seed, rows=15, width=4, classes=5):
    generator = torch.Generator().manual_seed(seed)
    features, prototypes = (torch.randn(n, width, generator=generator).double() for n in (rows, classes))
    return features, torch.randint(classes, (rows,), generator=generator), prototypes


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.booleans(), min_size=5, max_size=5), st.sampled_from([0.0, 0.5]))
def test_equal_to_the_definition(seed, known, margin):
    features, labels, prototypes = drawn(seed)
    found = prototype_margin(features, class_members(labels, 5), prototypes, torch.tensor(known), margin)
    assert found.item() == pytest.approx(by_definition(features, labels, prototypes, known, margin), abs=1e-10)


def test_by_hand():
    """One row at 0 of class 0; prototypes at 1, -2 and 3 of the first of two dimensions."""
    row, labels = torch.zeros(1, 2), class_members(torch.tensor([0]), 3)
    prototypes = torch.tensor([[1.0, 0], [-2, 0], [3, 0]])
    assert prototype_margin(row, labels, prototypes) == 0  # distances 1, 4, 9 over 2
    assert prototype_margin(row, labels, prototypes, margin=2.0).item() == pytest.approx((2 - 1.5) / 2)
    assert prototype_margin(row, labels, prototypes[[2, 1, 0]]).item() == pytest.approx((2.5 + 4) / 2)


def test_zero_where_every_class_is_nearest_its_own():
    prototypes = 10 * torch.eye(4)
    features = prototypes[[0, 1, 2, 3, 0]] + 0.1
    assert prototype_margin(features, class_members(torch.tensor([0, 1, 2, 3, 0]), 4), prototypes) == 0


def test_moving_and_turning_features_with_their_prototypes_changes_nothing():
    features, labels, prototypes = drawn(3)
    members, shift = class_members(labels, 5), torch.arange(4.0).double()
    value = prototype_margin(features, members, prototypes)
    turn = torch.linalg.qr(drawn(9, 4)[0])[0]
    assert value > 0
    torch.testing.assert_close(prototype_margin(features @ turn + shift, members, prototypes @ turn + shift), value)


def test_a_step_down_the_gradient_leads_to_the_own_prototype():
    row, members = torch.zeros(1, 2, requires_grad=True), class_members(torch.tensor([0]), 2)
    prototypes = torch.tensor([[2.0, 0], [0, 1]])
    (gradient,) = torch.autograd.grad(prototype_margin(row, members, prototypes), row)
    # d/dh of (|h - g_0|^2 - |h - g_1|^2) / d = -2 (g_0 - g_1) / d
    torch.testing.assert_close(gradient, torch.tensor([[-2.0, 1.0]]))


class TestLoss:
    def setup_method(self):
        torch.manual_seed(0)
        self.features, self.labels = torch.randn(2, 12, 4), torch.randint(3, (2, 12))
        self.valid = torch.arange(12) < torch.tensor([12, 7])[:, None]
        self.anchors, self.known = torch.randn(3, 4), torch.tensor([True, True, False])

    def term(self, part, **how):
        return part.term(self.features, self.labels, self.valid, classes=3, **how)

    def test_is_the_sum_of_both_terms(self):
        both = self.term(MR(mu_intra=0.3, mu_inter=0.2, margin=3), anchors=self.anchors, known=self.known)
        within = self.term(MRIntra(mu=0.3))
        for i in range(2):
            h, y = self.features[i][self.valid[i]], self.labels[i][self.valid[i]]
            between = by_definition(h, y, self.anchors, self.known, 3)
            assert between > 0 and (both[i] - within[i]).item() == pytest.approx(0.2 * between, rel=1e-4)

    def test_one_set_of_prototypes_or_one_per_client(self):
        shared = self.term(MR(), anchors=self.anchors, known=self.known)
        each = self.term(MR(), anchors=self.anchors.expand(2, 3, 4), known=self.known.expand(2, 3))
        torch.testing.assert_close(shared, each)

    def test_without_prototypes_or_weight_only_the_first_term_is_left(self):
        within = self.term(MRIntra(mu=0.01))
        torch.testing.assert_close(self.term(MR()), within)
        torch.testing.assert_close(self.term(MR(mu_inter=0), anchors=self.anchors), within)

    def test_prototypes_that_do_not_fit(self):
        with pytest.raises(InputError, match=r"prototypes of shape \(3, 5\), but there are 3 classes and 4 features"):
            self.term(MR(), anchors=torch.ones(3, 5))


def sizes(items):
    return {item.name: item.size for item in items}


def test_what_travels():
    needs = MR().needs
    assert sizes(needs.down) == sizes(needs.server) == {"prototypes": "Cd", "known": "C"}
    assert sizes(needs.up) == {"class_sums": "Cd", "class_counts": "C"}
    for part in (MR(anchors="head"), MR(mu_inter=0)):
        assert part.needs == Needs() and part.server() is None
    assert MR(anchors="head").anchors_from_head and not MR(anchors="head", mu_inter=0).anchors_from_head


@pytest.mark.parametrize("field", ["mu_intra", "mu_inter", "margin"])
def test_fields_have_bounds(field):
    with pytest.raises(ValidationError, match=field):
        MR(**{field: -1})


def report(sums, counts):
    return {"class_sums": torch.tensor(sums), "class_counts": torch.tensor(counts)}


class TestServer:
    model = torch.zeros(1)

    def end(self, rule):
        rule.end_round(self.model, self.model, 1.0, 0.1)

    def test_means_over_clients_by_their_examples(self):
        rule = MR().server()
        assert rule.down(self.model) == {}  # no prototypes in the first round
        rule.receive(0, report([[2.0, 4.0], [0, 0], [0, 0]], [2.0, 0, 0]))
        rule.receive(1, report([[6.0, 0.0], [5, 5], [0, 0]], [2.0, 1, 0]))
        self.end(rule)
        sent = rule.down(self.model)
        assert sent["prototypes"].tolist() == [[2, 1], [5, 5], [0, 0]]
        assert sent["known"].tolist() == [True, True, False]
        rule.receive(0, report([[0.0, 0], [7, 7], [0, 0]], [0.0, 1, 0]))
        self.end(rule)
        sent = rule.down(self.model)  # nobody reported class 0, nobody ever class 2
        assert sent["prototypes"].tolist() == [[2, 1], [7, 7], [0, 0]] and sent["known"].tolist() == [True, True, False]

    def test_in_a_relay_only_the_round_before_the_average_counts(self):
        rule = Prototypes()
        for round in range(3):
            rule.down(self.model)
            rule.receive(0, report([[float(round), 1.0]], [1.0]))
        self.end(rule)
        assert rule.state["prototypes"].tolist() == [[2, 1]]

    def test_its_state_is_all_there_is_between_rounds(self):
        first, second = Prototypes(), Prototypes()
        for rule in (first, second):
            rule.down(self.model)
            rule.receive(0, report([[1.0, 2], [0, 0]], [1.0, 0]))
            self.end(rule)
        resumed = Prototypes()
        resumed.state.update(reversed(first.state.items()))
        for rule in (resumed, second):
            rule.down(self.model)
            rule.receive(0, report([[0.0, 0], [3, 3]], [0.0, 1]))
            self.end(rule)
        for name in ("prototypes", "known"):
            assert (resumed.state[name] == second.state[name]).all()
