import re
from html import unescape

from made_up_training import clients_that_disagree

from harmonia.report import diagnose_federate


def visible(page):
    return " ".join(unescape(re.sub(r"<(style|script)[^>]*>.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)).split())


def test_the_page_names_findings_figures_and_recipes():
    record = clients_that_disagree()
    words = visible(diagnose_federate.page(record))
    assert record["advice"]
    for item in record["advice"]:
        assert item["finding"][1:] in words
        assert all(recipe in words for recipe in item["recipes"])
    assert "How 5 clients disagree" in words and "classes missing 50.0 %" in words and "drift 10.0 %" in words


def test_cosines_stand_where_two_clients_meet():
    record = clients_that_disagree()
    tips = re.findall(r'data-tip="client 0 · client 3: ([^"]+)"', diagnose_federate.page(record))
    assert float(tips[0].replace("−", "-")) == round(record["conflict"]["cosine"][0][3], 2)


def test_fewer_clients_are_compared_than_there_are():
    record = clients_that_disagree()
    record["conflict"] |= {"clients": [0, 1], "cosine": [[1.0, 0.5], [0.5, 1.0]]}
    assert "The first 2 clients are shown." in visible(diagnose_federate.page(record))


def test_a_calm_diagnosis_advises_nothing():
    assert "Nothing does." in visible(diagnose_federate.page(clients_that_disagree(advice=[])))
