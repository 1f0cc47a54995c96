import pytest

from harmonia.core.errors import InputError
from harmonia.federate.needs import Sizes
from harmonia.federate.planner import Plan
from harmonia.federate.recipes import BOOK

SIZES = Sizes(shared=1000, private=0, classes=10, features=20)


def plan(name, *settings):
    return Plan.of(BOOK.get(name).with_settings(settings), SIZES)


@pytest.mark.parametrize("name", BOOK.names())
def test_every_named_recipe_has_a_plan_and_needs_no_mending(name):
    made = plan(name)
    assert made.notes == () and made.bytes_of("down") >= 4000 and made.bytes_of("up") >= 4000


@pytest.mark.parametrize(
    ("name", "kept", "down", "up"),
    [
        ("fedavg", [], [], []),
        ("fedprox", [], [], []),
        ("fedsam", [], [], []),
        ("fedadam", [], [], []),
        ("scaffold", ["control"], ["control"], ["control_change"]),
        ("fedgamma", ["control"], ["control"], ["control_change"]),
        ("feddyn", ["dual"], [], []),
        ("moon", ["previous"], [], []),
        ("mofedsam", [], ["momentum"], []),
        ("fedsmoo", ["ascent_dual", "dual"], ["ascent"], ["ascent_dual"]),
        ("fedlesam", ["last"], [], []),
        ("fedskip", [], [], []),
        ("fedmr", [], ["known", "prototypes"], ["class_counts", "class_sums"]),
        ("fedgela", [], [], []),
    ],
)
def test_what_travels_beside_the_model(name, kept, down, up):
    made = plan(name)
    assert [sorted(made.names(where)) for where in ("kept", "down", "up")] == [kept, down, up]


def test_bytes_are_counted_from_the_sizes():
    assert plan("fedavg").bytes_of("down") == 4 * 1000
    assert plan("scaffold").bytes_of("down") == plan("scaffold").bytes_of("up") == 4 * 2000
    assert plan("fedmr").bytes_of("up") == 4 * (1000 + 10 * 20 + 10)
    names = [(row["where"], row["name"], row["bytes"]) for row in plan("feddyn").table()]
    assert ("kept", "dual", 4000) in names and ("down", "model", 4000) in names


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("scaffold", ["schedule=skip:2"], "schedule=skip relays .* drift=scaffold keeps"),
        ("feddyn", ["schedule=skip:2"], "schedule=skip relays .* drift=dyn keeps"),
        ("mofedsam", ["schedule=skip:2"], "schedule=skip relays .* drift=momentum keeps"),
        ("moon", ["schedule=skip:2"], "schedule=skip relays .* loss=moon"),
        ("fednova", ["schedule=skip:2"], "schedule=skip relays .* weight=nova"),
        ("fedrep", ["schedule=skip:2"], "schedule=skip relays .* head=local"),
        ("fedsmoo", ["drift=none", "server=sgd", "schedule=skip:2"], "schedule=skip relays .* perturb=smoo"),
        ("fedsmoo", ["drift=scaffold", "server=sgd"], "perturb=smoo was made for drift=dyn"),
        ("scaffold", ["weight=nova"], "drift=scaffold and weight=nova both rescale"),
        ("scaffold", ["training.momentum=0.9"], "drift=scaffold .* training.momentum=0.9"),
        ("fedrep", ["drift=scaffold"], "head.order=alternate .* drift=scaffold counts all"),
        ("fedrep", ["weight=nova"], "head.order=alternate .* weight=nova counts all"),
        ("feddyn", ["server=adam"], "drift=dyn needs server=dyn, not server=adam"),
        ("fedavg", ["server=dyn", "weight=uniform"], "server=dyn corrects for drift=dyn"),
        ("feddyn", ["weight=examples"], "server=dyn averages alike, and weight=examples"),
        ("feddyn", ["drift.alpha=0.5"], "drift.alpha=0.5 and server.alpha=0.1 must be the same"),
        ("fedmr", ["loss.anchors=head"], "loss.anchors=head .* head=linear has none"),
    ],
)
def test_parts_that_do_not_go_together_are_named(name, settings, said):
    with pytest.raises(InputError, match=said):
        plan(name, *settings)


def test_what_one_part_forces_on_another_is_resolved_and_said():
    made = plan("fedavg", "drift=dyn:0.3")
    assert (made.recipe.server.kind_name(), made.recipe.server.alpha) == ("dyn", 0.3)
    assert made.recipe.weight.kind_name() == "uniform" and "server=dyn" in made.notes[0]
    made = plan("fedlesam", "schedule=skip:2")
    assert made.recipe.perturb.memory == "server" and "perturb.memory=server" in made.notes[0]
