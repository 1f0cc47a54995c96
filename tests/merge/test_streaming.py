import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.data.checkpoints.saved import drawn, moved, saved
from tests.merge.planned import SHAPES, models, planned
from tests.merge.rules import Mean, Pair, Sum, Twice

import harmonia
from harmonia.core.errors import InputError
from harmonia.core.measure import Meter, peak_memory_bytes, reset_peak_memory
from harmonia.data.checkpoints import Checkpoint, open_checkpoint
from harmonia.maths import kth_largest
from harmonia.merge.checkpoint_sources import CheckpointSources
from harmonia.merge.disagreement import disagreement
from harmonia.merge.plan import plan
from harmonia.merge.sources import InMemory
from harmonia.merge.streaming import merge
from harmonia.merge.weights import Breadcrumbs, DareTies, Linear, ModelStock, MultiSlerp, Pcb, Sce, Slerp, Ties

COUNTS = [0.5, 0.3, -0.2]


def loaded(folder):
    return {k: v for path in sorted(Path(folder).glob("*.safetensors")) for k, v in load_file(path).items()}


def same_files(a, b):
    names = sorted(path.name for path in a.iterdir())
    assert names == sorted(path.name for path in b.iterdir())
    return all((a / name).read_bytes() == (b / name).read_bytes() for name in names)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_agrees_with_whole_tensors_in_float64_to_half_an_ulp(tmp_path, dtype):
    held, made = planned(tmp_path, dtype=dtype)
    merge(made, Sum(), tmp_path / "o", counts=COUNTS)
    eps = {torch.float64: torch.finfo(torch.float32).eps}.get(dtype, torch.finfo(dtype).eps)
    for name, out in loaded(tmp_path / "o").items():
        base, *experts = (tensors[name].double() for tensors in held)
        expected = base + sum(c * (e - base) for c, e in zip(COUNTS, experts, strict=True))
        half_ulp = eps / 2 * 2 ** expected.abs().log2().floor()
        assert out.dtype == dtype and ((out.double() - expected).abs() <= half_ulp + 4e-7).all()


@pytest.mark.parametrize(
    "rule",
    [Sum(), Mean(), Twice(), Ties(), Ties(undecided="majority"), Ties(scope="tensor"), Pcb(), Sce(), Breadcrumbs()],
)
def test_the_same_bytes_for_any_piece_and_number_of_threads(tmp_path, rule, monkeypatch):
    monkeypatch.setattr(kth_largest, "FEW", 100)  # so that thresholds are found in passes, by several threads
    _, made = planned(tmp_path, dtype=torch.bfloat16, shards=2)
    merge(made, rule, tmp_path / "o", counts=COUNTS, threads=1, shard=3000)
    assert len(list((tmp_path / "o").glob("*.safetensors"))) > 1
    for piece, threads in ((1, 2), (7, 1), (100, 3), (10**6, 4)):
        folder = tmp_path / f"{piece}-{threads}"
        merge(made, rule, folder, counts=COUNTS, piece=piece, threads=threads, shard=3000, measure=True)
        assert same_files(tmp_path / "o", folder)


@pytest.mark.parametrize("rule", [Linear(), Ties(), Pcb(), Sce(), Slerp(), ModelStock(), DareTies(), MultiSlerp()])
def test_pieces_in_the_same_memory_are_as_good_as_tensors_of_their_own(tmp_path, rule):
    held, made = planned(tmp_path, experts=2)
    merge(made, rule, tmp_path / "o", seed=3, piece=40)
    model = [
        Named(name, tuple(tensors[name] for tensors in held[1:]), held[0][name], made.identities) for name in held[0]
    ]
    known = rule.survey(model, [1, 1], 3)
    found = loaded(tmp_path / "o")
    for tensor in model:
        whole = torch.cat(list(rule.merge(tensor, [1, 1], 3, known)))
        assert torch.equal(found[tensor.name].flatten(), whole)


class Named(InMemory):
    """Tensors in memory of experts that are told apart as those of checkpoints are."""

    def __init__(self, name, tensors, base, identities):
        super().__init__(name, tensors, base)
        object.__setattr__(self, "_identities", identities)

    @property
    def identities(self):
        return self._identities


def test_limits(tmp_path):
    held, made = planned(tmp_path, dtype=torch.bfloat16)
    merge(made, Sum(), tmp_path / "base", counts=[0, 0, 0])
    assert all(torch.equal(t, held[0][name]) for name, t in loaded(tmp_path / "base").items())
    merge(made, Mean(), tmp_path / "expert", counts=[0, 1, 0])
    assert all(torch.equal(t, held[2][name]) for name, t in loaded(tmp_path / "expert").items())


def test_rows_are_kept_whole_where_a_rule_asks_for_it(tmp_path):
    _, made = planned(tmp_path)
    source = CheckpointSources(made, next(t for t in made.merged if t.slot.name == "layers.0.weight"), piece=40)
    assert [piece.experts.shape[1] for piece in source.pieces(9)] == [36] * 7 + [27]
    assert [piece.start for piece in source.pieces(200)] == [0, 200]
    assert source.size == 279 and source.shape == (31, 9) and source.experts == 3 and source.has_base


def test_the_base_is_not_read_where_nobody_needs_it(tmp_path, monkeypatch):
    _, made = planned(tmp_path)
    read, original = [], Checkpoint.read
    monkeypatch.setattr(Checkpoint, "read", lambda self, *rest: (read.append(self.folder.name), original(self, *rest)))
    merge(made, Mean(), tmp_path / "o")
    assert set(read) == {"m1", "m2", "m3"}
    assert len(read) == 3 * len(SHAPES)


def test_what_no_expert_moved_is_copied_without_the_rule(tmp_path, monkeypatch):
    base = drawn(0, SHAPES)
    experts = [{**base, "norm.weight": base["norm.weight"] + i} for i in (1, 2)]
    made = plan(
        [open_checkpoint(saved(tmp_path / f"e{i}", e)) for i, e in enumerate(experts)],
        open_checkpoint(saved(tmp_path / "b", base)),
    )
    asked, original = [], Sum.merge
    monkeypatch.setattr(
        Sum, "merge", lambda self, tensor, *rest: (asked.append(tensor.name), original(self, tensor, *rest))[1]
    )
    done = merge(made, Sum(), tmp_path / "o", measure=True)
    assert asked == ["norm.weight"] and (done.untouched, done.tensors) == (len(SHAPES) - 1, len(SHAPES))
    assert torch.equal(loaded(tmp_path / "o")["layers.0.weight"], base["layers.0.weight"])
    assert done.disagreement["layers.0.weight"].norms.tolist() == [0, 0]
    assert merge(made, Mean(), tmp_path / "p", counts=[1, 1]).untouched == 0  # its result need not be the base


def test_tensors_that_are_not_merged_are_the_references(tmp_path):
    base = {**drawn(0, SHAPES), "position_ids": torch.arange(7), "head": torch.randn(3)}
    expert = moved(drawn(0, SHAPES), 1)
    made = plan(
        [open_checkpoint(saved(tmp_path / "e", expert))],
        open_checkpoint(saved(tmp_path / "b", base)),
        dtype="bfloat16",
        unmatched="reference",
    )
    merge(made, Sum(), tmp_path / "o", piece=2)
    out = loaded(tmp_path / "o")
    assert torch.equal(out["position_ids"], base["position_ids"]) and torch.equal(out["head"], base["head"].bfloat16())
    assert json.loads((tmp_path / "o" / "config.json").read_text())["torch_dtype"] == "bfloat16"


@pytest.mark.parametrize("untouched", [False, True])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_nan_and_infinity_are_named(tmp_path, bad, untouched):
    base = drawn(0, SHAPES)
    wrong = {**base, "layers.3.weight": base["layers.3.weight"].clone()}
    wrong["layers.3.weight"][20, 3] = bad
    experts = [open_checkpoint(saved(tmp_path / "e", wrong)), open_checkpoint(saved(tmp_path / "f", wrong))]
    made = plan(experts, open_checkpoint(saved(tmp_path / "b", wrong if untouched else base)))
    where = "b" if untouched else "e"
    message = rf"{where}/model.safetensors: tensor layers.3.weight has NaN or infinite .* element 183\)"
    with pytest.raises(InputError, match=message):
        merge(made, Sum(), tmp_path / "o", piece=50)
    with pytest.raises(InputError, match=message):
        disagreement(made)
    assert not list((tmp_path / "o").glob("*.safetensors"))


def test_large_numbers_are_no_infinity(tmp_path):
    big = {"w": torch.full((100,), 3e38)}
    experts = [open_checkpoint(saved(tmp_path / name, big)) for name in "ab"]
    merge(plan(experts), Pair(), tmp_path / "o", counts=[0.5, 0.5])
    assert torch.equal(loaded(tmp_path / "o")["w"], big["w"])


def test_an_adapter_counts_as_an_expert(tmp_path):
    (base_tensors, _), (base, expert) = models(tmp_path, experts=1)
    factors = drawn(5, {"lora_A.weight": (2, 9), "lora_B.weight": (31, 2)})
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 6}))
    save_file(
        {f"base_model.model.layers.2.{k}": v for k, v in factors.items()}, tmp_path / "a" / "adapter_model.safetensors"
    )
    made = plan([open_checkpoint(tmp_path / "a", base)], base)
    done = merge(made, Sum(), tmp_path / "o", piece=13)
    assert done.untouched == len(SHAPES) - 1
    expected = base_tensors["layers.2.weight"] + 3 * factors["lora_B.weight"] @ factors["lora_A.weight"]
    torch.testing.assert_close(loaded(tmp_path / "o")["layers.2.weight"], expected, rtol=1e-5, atol=1e-5)
    assert made.inputs == [base.folder, tmp_path / "a"]
    with pytest.raises(InputError, match="is an input as well"):
        merge(plan([made.experts[0], expert]), Mean(), base.folder)


def test_what_is_copied_of_an_adapter_is_folded(tmp_path):
    (base_tensors, _), (_, expert) = models(tmp_path, experts=1)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 1}))
    factors = {"norm_2.lora_A.weight": torch.ones(1, 9), "norm_2.lora_B.weight": torch.ones(4, 1)}
    save_file(factors, tmp_path / "a" / "adapter_model.safetensors")
    saved(tmp_path / "m0", {**base_tensors, "norm_2.weight": torch.zeros(4, 9)})
    adapted = open_checkpoint(tmp_path / "a", open_checkpoint(tmp_path / "m0"))
    merge(plan([adapted, expert], unmatched="reference"), Mean(), tmp_path / "o")
    assert torch.equal(loaded(tmp_path / "o")["norm_2.weight"], torch.ones(4, 9))


def test_bad_requests_are_named(tmp_path):
    _, made = planned(tmp_path)
    bare, out = plan(made.experts), tmp_path / "o"
    with pytest.raises(InputError, match="weights=sum works on expert - base: give the base"):
        merge(bare, Sum(), out)
    with pytest.raises(InputError, match="weights=pair merges exactly 2 experts, and there are 3"):
        merge(bare, Pair(), out)
    with pytest.raises(InputError, match=r"1 weights for 3 experts: give one for each"):
        merge(bare, Mean(), out, counts=[1])
    with pytest.raises(InputError, match="weights of the experts .*nan.*: give finite numbers"):
        merge(bare, Mean(), out, counts=[1, 1, float("nan")])
    with pytest.raises(InputError, match="m2 is an input as well"):
        merge(bare, Mean(), tmp_path / "m2")
    with pytest.raises(InputError, match="threads=0: at least 1"):
        merge(bare, Mean(), out, threads=0)


def test_one_failure_stops_the_others_and_threads_are_given_back(tmp_path, monkeypatch):
    _, made = planned(tmp_path, shapes={f"t{i:02d}": (2000,) for i in range(40)})
    begun = []

    def merge_one(self, tensor, counts, seed, known=None):
        begun.append(tensor.name)
        if tensor.name == "t01":
            raise ArithmeticError("the rule's own")
        for piece in tensor.pieces():
            yield piece.base

    monkeypatch.setattr(Sum, "merge", merge_one)
    before = torch.get_num_threads()
    with pytest.raises(ArithmeticError, match="the rule's own"):
        merge(made, Sum(), tmp_path / "o", threads=2, piece=100)
    assert len(begun) < 40 and torch.get_num_threads() == before
    with pytest.raises(ValueError, match=r"t00: 0 of 8000 bytes were written"):
        monkeypatch.setattr(Sum, "merge", lambda *rest: iter(()))
        merge(made, Sum(), tmp_path / "p", threads=1)


KILLED = """
import os, signal, sys
from harmonia.data.checkpoints import CheckpointWriter, open_checkpoint
from harmonia.merge.plan import plan
from harmonia.merge.sources import InMemory
from harmonia.merge.streaming import merge
from harmonia.merge.weights import Breadcrumbs, DareTies, Linear, ModelStock, MultiSlerp, Pcb, Sce, Slerp, Ties
from tests.merge.planned import SHAPES, models, planned
from tests.merge.rules import Twice

base, *experts, out = sys.argv[1:]
base = open_checkpoint(base)
write = CheckpointWriter.write
count = 0

def write_and_die(self, name, start, values):
    global count
    write(self, name, start, values)
    count += 1
    if count == 20:  # in the midst of a shard, with others finished
        os.kill(os.getpid(), signal.SIGKILL)

CheckpointWriter.write = write_and_die
merge(plan([open_checkpoint(e) for e in experts], base), Twice(), out, threads=1, piece=50, shard=3000, measure=True)
"""


def test_killed_and_resumed_is_uninterrupted(tmp_path):
    _, made = planned(tmp_path)
    folders = [str(path) for path in made.inputs]
    out = tmp_path / "o"
    package, tests = Path(harmonia.__file__).parents[1], Path(__file__).parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *folders, str(out)],
        env={**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{tests}"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    finished = sorted(out.glob("*.safetensors"))
    assert len(finished) == 1 and len(list(out.glob(".*.part"))) == 1 and not (out / "config.json").exists()
    stamp = finished[0].stat()
    options = {"shard": 3000, "measure": True}
    with pytest.raises(InputError, match="o is not empty"):
        merge(made, Twice(), out, **options)
    with pytest.raises(InputError, match="o was begun with other settings or inputs"):
        merge(made, Twice(), out, seed=1, resume=True, **options)
    done = merge(made, Twice(), out, resume=True, **options)
    assert 0 < done.resumed < done.tensors
    assert (finished[0].stat().st_ino, finished[0].stat().st_mtime_ns) == (stamp.st_ino, stamp.st_mtime_ns)
    whole = merge(made, Twice(), tmp_path / "p", **options)
    assert same_files(out, tmp_path / "p")
    assert list(done.disagreement) == list(whole.disagreement)
    for name, found in whole.disagreement.items():
        np.testing.assert_allclose(done.disagreement[name].gram, found.gram, rtol=1e-9)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is measured by Linux")
def test_memory_does_not_grow_with_the_model(tmp_path):
    shapes = {f"w{i}": (1024, 1024) for i in range(6)}
    tensors = drawn(0, shapes)
    folders = [saved(tmp_path / f"m{i}", {n: t + i for n, t in tensors.items()}) for i in range(3)]
    del tensors
    base, *experts = map(open_checkpoint, folders)
    made = plan(experts, base)
    merge(made, Mean(), tmp_path / "warm", threads=2)
    reset_peak_memory()
    before = peak_memory_bytes()
    with Meter() as meter:
        merge(made, Sum(), tmp_path / "o", threads=2, measure=True)
    assert meter.peak_memory_bytes - before < 40e6  # three models of 25 MB are read and one is written
