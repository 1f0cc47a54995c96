import numpy as np

from harmonia.federate.store import ClientStore

A, B = {"control": np.ones(3, np.float32)}, {"control": np.zeros(3, np.float32)}


def test_what_a_client_keeps_comes_back(tmp_path):
    store = ClientStore(tmp_path)
    assert store.get(4) is None
    store.put(4, 1, A)
    again = ClientStore(tmp_path)
    again.restore(store.rounds)
    assert again.get(4)["control"].tolist() == [1, 1, 1] and again.get(5) is None


def test_a_round_that_was_not_stored_leaves_the_one_before_it_as_it_was(tmp_path):
    store = ClientStore(tmp_path)
    store.put(4, 1, A)
    store.commit()
    said = dict(store.rounds)
    store.put(4, 2, B)  # the server is killed before it stores this round
    again = ClientStore(tmp_path)
    again.restore(said)
    assert again.get(4)["control"].tolist() == [1, 1, 1]
    again.put(4, 2, B)
    again.commit()
    assert [path.name for path in tmp_path.iterdir()] == ["4-2.safetensors"]


def test_clients_that_keep_nothing_leave_nothing(tmp_path):
    store = ClientStore(tmp_path / "clients")
    for client in range(1000):
        store.put(client, 1, {})
    assert store.rounds == {} and not (tmp_path / "clients").exists()


def test_what_is_held_in_memory_is_bounded_and_nothing_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("harmonia.federate.store.HELD", 3 * A["control"].nbytes)
    store, plain = ClientStore(tmp_path), ClientStore()
    for client in (0, 1, 2, 3, 4, 1, 5):
        for held in (store, plain):
            held.put(client, 1, {"control": np.full(3, client, np.float32)})
    assert list(store._held) == [4, 1, 5] and len(plain._held) == 6
    for client in (0, 5, 2, 4):
        assert store.get(client)["control"].tolist() == plain.get(client)["control"].tolist() == [client] * 3
    assert list(store._held) == [5, 2, 4]
