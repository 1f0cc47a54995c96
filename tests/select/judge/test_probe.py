import math
from dataclasses import replace
from pathlib import Path

import pytest

from harmonia.core.errors import InputError
from harmonia.select.judge.base import Exam, summary
from harmonia.select.judge.probe import Probe

LAW = [f"section {i}: the court held that clause {i % 7} of the act is void and the appeal fails. " for i in range(60)]
MAIL = [f"hi bob, shall we meet at {i % 9} for coffee and cake? see you soon, ann {i} " for i in range(60)]
EXAM = Exam({"law": LAW[50:], "mail": MAIL[50:]}, [], seed=0, folder=Path("unused"))


def test_learning_from_a_source_helps_that_source():
    law, mail = Probe().judge("law", LAW[:50], EXAM), Probe().judge("mail", MAIL[:50], EXAM)
    both = Probe().judge("both", LAW[:25] + MAIL[:25], EXAM)
    assert law["bpb/law"] < both["bpb/law"] < mail["bpb/law"]
    assert mail["bpb/mail"] < both["bpb/mail"] < law["bpb/mail"]
    assert both["bpb/worst"] < min(law["bpb/worst"], mail["bpb/worst"])
    assert law["selected_bytes"] == len("".join(LAW[:50]))


def test_order_and_seed_do_not_matter():
    expected = Probe().judge("a", LAW[:20] + MAIL[:5], EXAM)
    again = Probe().judge("b", MAIL[:5][::-1] + LAW[:20][::-1], replace(EXAM, seed=9))
    assert again == pytest.approx(expected, rel=1e-12)


def test_order_one_is_the_smoothed_frequency_of_bytes():
    exam = replace(EXAM, held_out={"a": ["a"]})
    found = Probe(order=1).judge("x", ["aaab"], exam)["bpb/a"]
    # counts 3 and 1 among 4 bytes: n1 = 1, n2 = 0, so the discount 1 is held at .9
    assert found == pytest.approx(-math.log2((3 - 0.9) / 4 + 0.9 * 2 / 4 / 256), rel=1e-12)


def test_mean_and_worst_weigh_sources_alike():
    assert summary({"b": 1.0, "a": 3.0}) == {"bpb/b": 1.0, "bpb/a": 3.0, "bpb/mean": 2.0, "bpb/worst": 3.0}


def test_bad_input_is_named():
    with pytest.raises(InputError, match="empty: the selection holds no text"):
        Probe().judge("empty", [""], EXAM)
    with pytest.raises(InputError, match="no held-out documents"):
        Probe().judge("a", LAW[:5], replace(EXAM, held_out={}))
