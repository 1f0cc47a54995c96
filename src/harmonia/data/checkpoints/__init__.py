"""Models in the layout of the Hub, read and written in bounded memory.

checkpoint = open_checkpoint("folder")
checkpoint.read("model.embed_tokens.weight", start=0, out=torch.empty(1000))
"""

from harmonia.data.checkpoints.adapter import AdaptedCheckpoint, fold
from harmonia.data.checkpoints.checkpoint import Checkpoint
from harmonia.data.checkpoints.header import FLOATS, Stored, read_header
from harmonia.data.checkpoints.layout import SHARD, Slot, layout
from harmonia.data.checkpoints.location import located
from harmonia.data.checkpoints.opening import open_checkpoint, opened
from harmonia.data.checkpoints.pickled import PickledCheckpoint
from harmonia.data.checkpoints.precision import dtype_named
from harmonia.data.checkpoints.single import written_file
from harmonia.data.checkpoints.writer import CheckpointWriter, check_disk, refuse_input

__all__ = [
    "FLOATS",
    "SHARD",
    "AdaptedCheckpoint",
    "Checkpoint",
    "CheckpointWriter",
    "PickledCheckpoint",
    "Slot",
    "Stored",
    "check_disk",
    "dtype_named",
    "fold",
    "layout",
    "located",
    "open_checkpoint",
    "opened",
    "read_header",
    "refuse_input",
    "written_file",
]
