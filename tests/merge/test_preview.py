import shutil

import pytest
import torch
from tests.data.checkpoints.saved import drawn, moved, saved

import harmonia
from harmonia.core.errors import InputError


@pytest.mark.parametrize(
    ("recipe", "passes"), [("linear", 1), ("dare-linear", 1), ("model-stock", 2), ("sce", 3), ("regmean", 1)]
)
def test_bytes_and_passes_are_those_of_the_merge(recipe, passes, models, tmp_path):
    base, *experts = models
    told = harmonia.merge.dry_run(experts, recipe, base=base, out=tmp_path / "r", threads=1)
    result = harmonia.merge(experts, recipe, base=base, disagreement=False, out=tmp_path / "r")
    written = sum(path.stat().st_size for path in result.model.glob("*.safetensors"))
    assert told["bytes"]["written"] == pytest.approx(written, rel=0.2) and told["files"] == 1
    assert told["passes"] >= passes and (recipe == "sce" or told["passes"] == passes)
    assert told["bytes"]["read"] == told["passes"] * told["bytes"]["inputs"]
    assert told["parameters"] == result.summary["parameters"] and told["seconds"] > 0


def test_nothing_is_written_and_the_disk_is_told(models, tmp_path):
    base, *experts = models
    before = sorted(tmp_path.rglob("*"))
    told = harmonia.merge.dry_run(experts, "ties", base=base, out=tmp_path / "deep" / "r", scalings=[0.5, 1.0])
    assert sorted(tmp_path.rglob("*")) == before
    assert told["models"] == 2 and told["disk"]["free"] == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    assert told["bytes"]["written"] == 2 * harmonia.merge.dry_run(experts, "ties", base=base)["bytes"]["written"]


def test_a_trial_reads_a_part_of_a_large_model(tmp_path):
    shapes = {f"layers.{i}.w": (1200, 1000) for i in range(6)}
    tensors = drawn(0, shapes)
    folders = [
        saved(tmp_path / f"m{i}", tensors if not i else moved(tensors, i), dtype=torch.float32) for i in range(3)
    ]
    told = harmonia.merge.dry_run(folders[1:], "mergekit-ties", base=folders[0], threads=2)
    assert told["parameters"] == 7_200_000 and told["passes"] == pytest.approx(2, abs=0.1)
    assert told["memory"] < 400e6


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"recipe": "ties"}, "give the base"),
        ({"recipe": "linear", "weights": [1]}, "1 weights for 2 experts"),
        ({"recipe": "linear", "scalings": [0.5]}, "weights=linear has no scaling to sweep over"),
    ],
)
def test_what_would_stop_the_merge_is_told(options, match, models):
    with pytest.raises(InputError, match=match):
        harmonia.merge.dry_run(models[1:], **options)
