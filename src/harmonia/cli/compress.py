"""``harmonia compress``: a smaller model without retraining."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from harmonia.cli.common import Work, recipe_name, words
from harmonia.core.errors import InputError

if TYPE_CHECKING:
    from rich.console import Group


@Parameter(name="*")
@dataclass
class Removal:
    """What is removed, and by which text."""

    ratio: float | None = None
    """Share of what the units cost that is removed; by default 0.2 of a language model and 0.5 of an encoder."""
    ratios: str | None = None
    """Several, comma-separated, from one calibration: a checkpoint each."""
    calibration: str | None = None
    """Text: a file, folder or glob of .txt, .jsonl, Parquet, or a name of `harmonia data list`."""
    held_out: Annotated[str | None, Parameter(name="--held-out")] = None
    """Other text, to judge by; by default a part of the calibration text that is not calibrated on."""
    label: str | None = None
    """Column of labels, for a classifier: its loss gives gradients, and accuracy is measured."""
    judged: int = 16_384
    """Tokens to judge by."""
    fold_bias: bool = True
    """Let layers that have no bias gain one; the model card says whether plain transformers then loads the model."""
    timed: bool | None = None
    """Measure time per token at batch 1 and 8; by default of one run, and not in a comparison."""
    tasks: str | None = None
    """Tasks of lm-evaluation-harness that a language model is judged by as well, comma-separated; needs
    `harmonia[eval]`. A YAML file describes one of yours."""
    limit: int | None = None
    """Examples of each task, at most."""
    device: str = "cpu"
    """cpu, cuda, or auto."""
    allow_pytorch_bin: Annotated[bool, Parameter(negative="")] = False
    """Read pytorch_model.bin where there are no safetensors: of the pickle only tensors, and nothing in it is run."""
    text_column: str | None = None
    """Column of the text (detected: text, content, document, ...)."""
    on_bad: Literal["stop", "skip"] = "stop"
    """stop at a row that is no text, or skip it."""

    def shares(self) -> list[float] | None:
        """Return the ratios that are asked for; None for what suits the model.

        Raises:
            InputError: both options, or something that is no number.
        """
        if self.ratio is not None and self.ratios is not None:
            raise InputError("--ratio and --ratios: give one of them")
        if self.ratios is None:
            return None if self.ratio is None else [self.ratio]
        try:
            return [float(word) for word in words(self.ratios)]
        except ValueError as error:
            raise InputError(f"--ratios {self.ratios}: expected numbers, for instance 0.1,0.2,0.3") from error

    def named(self) -> dict[str, Any]:
        """Return the keyword arguments of the engine."""
        names = ["calibration", "held_out", "label", "judged", "fold_bias", "limit", "device", "allow_pytorch_bin"]
        names.append("on_bad")
        options = {name: getattr(self, name) for name in ("timed", "text_column")}
        return {
            "ratio": self.shares(),
            "tasks": words(self.tasks) if self.tasks else (),
            **{name: getattr(self, name) for name in names},
            **{name: value for name, value in options.items() if value is not None},
        }


def compress(
    model: str,
    *,
    recipe: str = "liar-wifv",
    removal: Annotated[Removal | None, Parameter(name="*")] = None,
    plan: Annotated[bool, Parameter(negative="")] = False,
    statistics: Path | None = None,
    work: Annotated[Work | None, Parameter(name="*")] = None,
) -> None:
    """Make a model smaller without retraining it: attention heads, neurons or whole layers go, the rest is repaired.

    Writes RUN/result/model, or RUN/result/model-RATIO for each of several: config.json, safetensors, tokenizer and a
    model card with size, speed, score and errors before and after; and summary.json. In Python,
    harmonia.models.pruned.load("RUN/result/model") loads any of them; the card says when plain transformers does.

        harmonia compress minilm --ratio 0.5 --calibration tales --out smaller

        harmonia compress smollm2 --ratios 0.1,0.2,0.3 --calibration text.jsonl --held-out other.jsonl --report

    A recipe is one choice per axis: structure, criterion, allocation, reconstruction. Mix them:

        harmonia compress smollm2 --set structure=neurons criterion=obs:joint --calibration books

    Before that, `harmonia compress MODEL --plan` says what would go and what calibration takes, without text. After
    it, `harmonia compare compress MODEL --recipes none-wifv,bias-wifv,liar-wifv` says which repair is worth it.

    Parameters
    ----------
    model
        A folder in the Hub's layout, a .gguf file, minilm, smollm2, or a Hub id. BERT, GPT-2 and Llama families.
    recipe
        A recipe's name (`harmonia recipes compress`) or a YAML file.
    plan
        Only say what would be cut and what it costs.
    statistics
        Folder where what layers read is looked for and kept, so that another recipe or ratio on the same text begins
        there.
    """
    work, removal = work or Work(), removal or Removal()
    work.begin()
    if plan:
        _plan(model, recipe, removal, work)
        return
    from harmonia.compress.engine import compress as run

    result = run(
        model,
        recipe,
        **removal.named(),
        settings=work.set or (),
        seed=work.seed,
        statistics=statistics,
        out=work.folder(f"compress-{recipe_name(recipe)}"),
        resume=work.resume,
    )
    summary = result.summary
    record: dict[str, Any] = {
        "run": str(result.folder),
        "models": [str(result.path(point["ratio"])) for point in summary["points"]],
        **{name: value for name, value in summary.items() if name not in ("stage", "cite")},
    }
    if work.report:
        record["report"] = str(result.report())

    def shown() -> Group:
        from rich.console import Group

        from harmonia.report.terminal import compression

        lines = [f"model: {path}" for path in record["models"]]
        return Group(compression(summary), *lines, *([f"report: {record['report']}"] if "report" in record else []))

    work.say(record, shown)


def _plan(model: str, recipe: str, removal: Removal, work: Work) -> None:
    from harmonia.compress.preview import plan as made

    record = made(
        model,
        recipe,
        ratio=removal.shares(),
        settings=work.set or (),
        seed=work.seed,
        fold_bias=removal.fold_bias,
        allow_pytorch_bin=removal.allow_pytorch_bin,
    )

    def shown() -> Group:
        from harmonia.report.terminal import removal_plan

        return removal_plan(record)

    work.say(record, shown)
