import errno
import os
import threading

import pytest

from harmonia.data.checkpoints import positional
from harmonia.data.checkpoints.positional import PositionalFile


@pytest.mark.parametrize("system", [True, False])
def test_threads_write_and_read_at_places(tmp_path, monkeypatch, system):
    monkeypatch.setattr(positional, "_POSITIONAL", system and hasattr(os, "preadv"))
    monkeypatch.setattr(positional, "_AT_ONCE", 7)  # several calls for one piece
    blocks = [bytes([i]) * 20 for i in range(16)]
    file = PositionalFile(tmp_path / "x", "write")
    file.reserve(330)
    assert (tmp_path / "x").stat().st_size == 330

    def each(work):
        workers = [threading.Thread(target=work, args=(i,)) for i in range(16)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    each(lambda i: file.write(20 * i, memoryview(blocks[i])))
    file.close()
    file.close()
    assert (tmp_path / "x").read_bytes() == b"".join(blocks) + bytes(10)
    file = PositionalFile(tmp_path / "x", "read")
    found = [bytearray(20) for _ in blocks]
    each(lambda i: file.read(20 * i, memoryview(found[i])))
    assert found == blocks
    assert file.read(320, memoryview(bytearray(20))) == 10  # what there is
    file.close()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system makes no promises")
def test_a_file_system_that_promises_no_room(tmp_path, monkeypatch):
    def refuse(number):
        def fallocate(*rest):
            raise OSError(number, "")

        return fallocate

    file = PositionalFile(tmp_path / "x", "write")
    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.EOPNOTSUPP))
    file.reserve(50)
    assert (tmp_path / "x").stat().st_size == 50
    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.ENOSPC))
    with pytest.raises(OSError, match=str(errno.ENOSPC)):
        file.reserve(60)
    file.close()
