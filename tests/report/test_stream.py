import pytest
from made_up_policy import TASKS, in_order

from harmonia.report import plots, stream


def test_what_was_kept_follows_the_column_of_each_task():
    found = in_order(kept=0.3)["stream"]
    rows = stream.kept(found)
    assert [row["task"] for row in rows] == list(TASKS)
    assert [row["learned"] for row in rows] == [1.0] * 4
    assert [row["end"] for row in rows] == pytest.approx([0.3, 0.3, 0.3, 1.0])
    assert sum(row["lost"] for row in rows) / 4 == pytest.approx(found["forgetting"])
    assert [row["area"] for row in rows] == pytest.approx([0.5] * 4)


def test_the_matrix_emphasises_the_task_just_learned():
    table = stream.matrix(in_order(kept=0.3)["stream"])
    assert [name for name, _ in table.rows] == ["untrained", *TASKS]
    strong = [(name, table.columns[j]) for name, row in table.rows for j, cell in enumerate(row) if cell.strong]
    assert strong == [(task, task) for task in TASKS]
    assert [cell.words for cell in table.rows[-1][1]] == ["30", "30", "30", "100"]


def test_curves_end_where_the_metrics_say():
    found = in_order(kept=0.5)["stream"]
    assert f"forgetting: {100 * found['forgetting']:.1f} %" in str(stream.forgotten({"forgetting": found}))
    assert f"average: {100 * found['average'][-1]:.1f} %" in str(stream.averages({"average": found}))


def test_learning_curves_are_there_only_where_they_were_measured():
    assert stream.learning(in_order(curve=False)["stream"]) is None
    drawn = str(stream.learning(in_order()["stream"]))
    assert "reach: 50.0 %" in drawn and drawn.count('class="line') == 4


def test_colours_end_with_one_for_all_others():
    roles = [role for role, _ in plots.roles([str(i) for i in range(12)])]
    assert roles == [f"c{min(i, 8)}" for i in range(12)]
