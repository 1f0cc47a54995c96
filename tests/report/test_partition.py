import re
from html import unescape

from made_up_training import CLASSES, dealt, population

from harmonia.report import partition


def visible(page):
    return " ".join(unescape(re.sub(r"<(style|script)[^>]*>.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)).split())


def test_the_picture_has_a_row_per_client_and_a_cell_per_class():
    of = population()
    picture = partition.picture(of, CLASSES)
    assert picture.columns == ["examples", *CLASSES] and len(picture.rows) == 5
    for (name, (whole, *each)), size, held in zip(picture.rows, of["sizes"], of["table"], strict=True):
        assert whole.words == str(size) and name in whole.tip
        assert [cell.words for cell in each] == [str(n) if n else "" for n in held]
        # what a client has of a class is tinted by its share, and what it lacks is not
        assert [cell.depth for cell in each] == [max(4, round(60 * n / size)) if n else 0 for n in held]


def test_findings_follow_from_the_table():
    of = population()
    words = " ".join(partition.findings(of))
    assert "5 clients have" in words and "A client has 2 of the 4 classes on average and lacks 50.0 % of them." in words
    assert f"{of['mean_distance']:.4g}"[:4] in words
    alike = " ".join(partition.findings(population(partition="iid")))
    assert "Every client has examples of all 4 classes." in alike and "32 examples each" in alike
    assert partition.findings(population(1, partition="iid")) == ["One client has all 160 examples."]


def test_many_clients_are_cut_with_a_word():
    of = population(70, partition="iid", per_class=100)
    assert len(partition.picture(of, CLASSES).rows) == partition.SHOWN
    assert partition.facts(of)["clients"] == 70
    assert "The first 50 of 70 clients are shown" in visible(partition.page(dealt(population=of)))


def test_the_page_says_what_was_dealt_and_how():
    words = visible(partition.page(dealt()))
    assert "pcdd:2 160 examples of animals · 5 clients · seed 0" in words
    assert "Every client has the same number of classes." in words and "client 4" in words
