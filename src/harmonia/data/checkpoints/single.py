"""One safetensors file of known tensors, written tensor by tensor, whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harmonia.core.files import atomic
from harmonia.data.checkpoints.layout import Slot, layout
from harmonia.data.checkpoints.positional import PositionalFile
from harmonia.data.checkpoints.precision import bytes_view, from_float32
from harmonia.data.checkpoints.writer import check_disk

if TYPE_CHECKING:
    from torch import Tensor


@contextlib.contextmanager
def written_file(path: Path, slots: Sequence[Slot]) -> Iterator[Callable[[str, Tensor], None]]:
    """Yield a function that writes a tensor by name, in any order, each once; the file is in place after the block.

    Args:
        path: of the file; an older one stays as it is until then.
        slots: all tensors that will be written.

    Raises:
        InputError: the disk is too small.
        RunError: it cannot be written.
    """
    [shard] = layout(slots, sum(slot.bytes for slot in slots))
    dtypes, left = {slot.name: slot.dtype for slot in slots}, {slot.name for slot in slots}
    check_disk(path.parent, shard.bytes)
    with atomic(path) as temporary, contextlib.closing(PositionalFile(temporary, "write")) as file:
        file.reserve(shard.bytes)
        file.write(0, memoryview(shard.header))

        def write(name: str, values: Tensor) -> None:
            left.remove(name)
            file.write(shard.places[name], bytes_view(from_float32(values.flatten(), dtypes[name])))

        yield write
        if left:
            raise ValueError(f"{sorted(left)} are not written")
