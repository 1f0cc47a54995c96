"""What calibration saw, on disk: a folder per model, data and tokens, in it a file per layer.

Statistics serve every criterion, repair and ratio, so they are gathered once; what another recipe needs beside them is
added. One layer's are in memory at a time.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.compress.site import Moments, Seen, Site
from harmonia.core.arrays import read_arrays, write_arrays
from harmonia.core.files import read_json, write_json
from harmonia.core.progress import track
from harmonia.data.checkpoints import check_disk


class Statistics:
    """Statistics of one model on one set of sequences.

    Args:
        folder: where the statistics of any models are; this one's are in a folder of it.
        key: what decides them: digests of model and sequences, and what is drawn of these.
    """

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        text = json.dumps(key, sort_keys=True)
        self.folder = folder / hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @staticmethod
    def bytes(sites: Sequence[Site], held: bool) -> int:
        """Return what the moments of some sites take on disk."""
        return sum(8 * (site.units * site.run) ** 2 for site in sites) * (2 if held else 1)

    def within(self, folder: Path) -> bool:
        """Return whether they lie in a folder."""
        return self.folder.is_relative_to(folder)

    def gather(
        self,
        model: Any,
        sites: Sequence[Site],
        batches: Sequence[Any],
        needs: Collection[str],
        *,
        seed: int,
        held: float,
        loss: Any,
    ) -> None:
        """See to it that all that is needed is there.

        Args:
            model: the dense one.
            sites: its consumers.
            batches: of tokens.
            needs: ``moments``, ``gradients``, ``slices``.
            seed: draws the sequences that are held out.
            held: share of them.
            loss: of each example, for what needs gradients.

        Raises:
            InputError: as ``calibrate``; or the disk is too small.
        """
        from harmonia.compress.calibration import calibrate, check_gradients
        from harmonia.compress.gradients import mask_gradients
        from harmonia.compress.taylor import slice_sums

        check_gradients(needs, loss)
        if "moments" in needs and (left := self._lacking("moments", sites)):
            check_disk(self.folder, self.bytes(left, held > 0))
            start = time.perf_counter()
            seen = calibrate(model, left, batches, seed=seed, held=held)
            for site, here in track(seen, "calibrating", len(left)):
                self._write("moments", site, _arrays(here))
            self._took("moments", time.perf_counter() - start)
        for what, find in (
            ("gradients", lambda some: [{"gradients": g} for g in mask_gradients(model, some, batches, loss)]),
            ("slices", lambda some: slice_sums(model, some, batches, loss)),
        ):
            if what in needs and (left := self._lacking(what, sites)):
                start = time.perf_counter()
                for site, arrays in zip(left, find(left), strict=True):
                    self._write(what, site, arrays)
                self._took(what, time.perf_counter() - start)

    def seen(self, site: Site, needs: Collection[str]) -> Seen:
        """Return what was gathered of a site."""
        own = {what: read_arrays(self._path(what, site)) for what in needs}
        moments = own.get("moments")
        nothing = Moments(0, np.zeros(site.units * site.run), np.zeros((0, 0)), 0)
        return Seen(
            fit=nothing if moments is None else _moments(moments, "fit"),
            held=_moments(moments, "held") if moments is not None and "held.mean" in moments else None,
            gradients=own["gradients"]["gradients"] if "gradients" in own else None,
            slices=own.get("slices", {}),
        )

    def seconds(self, needs: Collection[str]) -> float:
        """Return how long gathering took, whoever did it."""
        path = self.folder / "seconds.json"
        known = read_json(path) if path.exists() else {}
        return sum(known.get(what, 0.0) for what in needs)

    def _took(self, what: str, seconds: float) -> None:
        path = self.folder / "seconds.json"
        known = read_json(path) if path.exists() else {}
        write_json(path, {**known, what: known.get(what, 0.0) + seconds})

    def _path(self, what: str, site: Site) -> Path:
        return self.folder / what / f"{site.name}.safetensors"

    def _lacking(self, what: str, sites: Sequence[Site]) -> list[Site]:
        return [site for site in sites if not self._path(what, site).exists()]

    def _write(self, what: str, site: Site, arrays: dict[str, np.ndarray]) -> None:
        write_arrays(self._path(what, site), arrays)


def _arrays(seen: Seen) -> dict[str, np.ndarray]:
    found = {}
    for name, moments in (("fit", seen.fit), ("held", seen.held)):
        if moments is not None:
            found[f"{name}.mean"] = moments.mean
            found[f"{name}.gram"] = moments.gram
            found[f"{name}.counts"] = np.array([moments.count, moments.sequences])
    return found


def _moments(arrays: dict[str, np.ndarray], name: str) -> Moments:
    count, sequences = (int(x) for x in arrays[f"{name}.counts"])
    return Moments(count, arrays[f"{name}.mean"], arrays[f"{name}.gram"], sequences)
