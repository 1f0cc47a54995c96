"""What a client keeps: after the round that counts and after the latest, and nothing older."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr")

import numpy as np
from flwr.app import Context, RecordDict

from harmonia.core.errors import InputError
from harmonia.federate.flower.shelf import FolderShelf, StateShelf, shelf_of
from harmonia.federate.store import ClientStore


@pytest.fixture(params=["state", "folder"])
def shelf(request, tmp_path):
    return StateShelf(RecordDict()) if request.param == "state" else FolderShelf(tmp_path, 4)


def kept(value):
    return {"control": np.full(3, value, np.float32), "head": np.arange(4.0)}


def held(shelf, rounds):
    found = []
    for round in rounds:
        try:
            shelf.get(round)
        except InputError:
            continue
        found.append(round)
    return found


def test_before_the_first_participation_there_is_nothing(shelf):
    assert shelf.get(0) is None


def test_what_is_kept_comes_back_bit_for_bit(shelf):
    shelf.put(3, 0, kept(0.1))
    found = shelf.get(3)
    assert {n: (v.dtype, v.tobytes()) for n, v in found.items()} == {
        n: (v.dtype, v.tobytes()) for n, v in kept(0.1).items()
    }


def test_a_round_that_did_not_count_is_gone_over_again_from_the_one_that_did(shelf):
    shelf.put(1, 0, kept(1))
    shelf.put(2, 1, kept(2))  # this reply was lost
    assert shelf.get(1)["control"][0] == 1
    shelf.put(2, 1, kept(2.5))  # the same job again
    shelf.put(4, 1, kept(4))
    assert held(shelf, range(1, 6)) == [1, 4]


def test_two_rounds_are_held_at_most(shelf):
    for round in range(1, 9):
        shelf.put(round, round - 1, kept(round))
    assert held(shelf, range(1, 9)) == [7, 8]


def test_what_was_lost_is_said(shelf):
    with pytest.raises(InputError, match=r"^has lost what it kept after round 5; start the run anew"):
        shelf.get(5)


def test_whoever_keeps_nothing_writes_nothing(shelf, tmp_path):
    shelf.put(1, 0, {})
    assert not list(tmp_path.iterdir()) and held(shelf, [1]) == []


def test_a_folder_is_taken_from_the_nodes_settings(tmp_path):
    context = Context(1, 2, {"keep": str(tmp_path)}, RecordDict(), {})
    shelf_of(context, 4).put(1, 0, kept(1))
    assert [path.name for path in tmp_path.iterdir()] == ["4-1.safetensors"] and not context.state
    assert isinstance(shelf_of(Context(1, 2, {}, RecordDict(), {}), 4), StateShelf)


def test_other_clients_files_stay(tmp_path):
    FolderShelf(tmp_path, 1).put(1, 0, kept(1))
    FolderShelf(tmp_path, 11).put(1, 0, kept(11))
    FolderShelf(tmp_path, 1).put(2, 0, kept(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-2.safetensors", "11-1.safetensors"]


def test_an_engine_of_this_machine_reads_a_folders_files(tmp_path):
    FolderShelf(tmp_path, 4).put(3, 0, kept(0.5))
    store = ClientStore(tmp_path)
    store.restore({4: 3})
    assert store.get(4)["control"].tolist() == [0.5] * 3
