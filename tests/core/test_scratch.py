import threading

import numpy as np
import pytest

from harmonia.core.scratch import Scratch


def test_memory_is_lent_again_grows_and_begins_at_a_cache_line():
    scratch = Scratch()
    with scratch.borrowed(10, np.float32) as small:
        assert small.shape == (10,) and small.dtype == np.float32 and small.ctypes.data % 64 == 0
        place = small.ctypes.data
    with scratch.borrowed(5, np.uint32) as again:
        assert again.ctypes.data == place
    with scratch.borrowed(100_000, np.float64) as large:
        assert len(large) == 100_000 and large.ctypes.data % 64 == 0
        place = large.ctypes.data
    with pytest.raises(KeyError), scratch.borrowed(1, np.uint8):
        raise KeyError
    with scratch.borrowed(100_000, np.float64) as again:
        assert again.ctypes.data == place


def test_threads_and_blocks_within_blocks_do_not_share():
    scratch, places = Scratch(), set()

    def work():
        with scratch.borrowed(8, np.int64) as mine:
            places.add(mine.ctypes.data)
            barrier.wait(timeout=20)

    barrier = threading.Barrier(2)
    thread = threading.Thread(target=work)
    thread.start()
    work()
    thread.join()
    with scratch.borrowed(8, np.int64) as outer, scratch.borrowed(8, np.int64) as inner:
        outer[:], inner[:] = 1, 2
        assert (outer == 1).all()
    assert len(places) == 2
