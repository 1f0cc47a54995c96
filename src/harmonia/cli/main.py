"""The ``harmonia`` command: parses, runs, and turns every failure into one message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from harmonia.core.errors import HarmoniaError

_HELP = """Learn from data that disagrees.

See how your sources disagree, pick the data worth training on, train one model without the sources fighting, and
judge what comes out.

    harmonia data get demo                      a real corpus
    harmonia diagnose demo                      how its sources disagree
    harmonia select demo --budget 3% --out run  pick documents
    harmonia report run                         what was picked, and why
    harmonia compare select demo                does it help? train and see

    harmonia trajectories gather --env points:conflict4 --out points
    harmonia decide points --out policy         one policy for many tasks
    harmonia compare decide points              which way of sharing helps?

    harmonia diagnose digits --clients 10 --partition pcdd:2
    harmonia federate digits --clients 10 --partition pcdd:2 --recipe fedgela --out model
    harmonia compare federate digits            which remedy helps clients that differ?

    harmonia compress minilm --ratio 0.5 --calibration tales --out smaller
    harmonia compare compress minilm --calibration tales

    harmonia diagnose --experts law code --base smollm
    harmonia merge law code --base smollm --recipe ties --out one
    harmonia compare merge law code --base smollm --data law=law.jsonl

A recipe is one choice per axis: `harmonia recipes select` lists them, `harmonia explain disf-unit` shows one.
Exit codes: 0 done, 2 bad input or usage, 1 anything else."""

app = App(name="harmonia", help=_HELP, help_format="markdown", suppress_keyboard_interrupt=False)

_COMMANDS = {
    "select": "Pick the documents worth training on.",
    "decide": "Train one policy for many tasks, from logged trajectories.",
    "federate": "Train one model with clients whose data differ and stay with them.",
    "compress": "Make a model smaller without retraining it.",
    "merge": "Merge several fine-tunes of one model into one.",
    "partition": "Show who gets which examples when data are dealt to clients.",
    "trajectories": "Gather, import, export and show logged trajectories.",
    "compare": "Run several recipes on the same data, seeds and budget, and judge what comes out.",
    "report": "Write a run's self-contained HTML page.",
    "diagnose": "Measure how sources disagree, before any compute is spent.",
    "recipes": "List the recipes of a stage.",
    "explain": "Explain a recipe, or why a document was taken or left.",
    "cite": "Print the BibTeX of what a run or a recipe uses.",
    "data": "Get real datasets to try things on.",
}
_WITH_COMMANDS = ("compare", "data", "decide", "federate", "merge", "trajectories")

for _name, _help in _COMMANDS.items():
    app.command(
        f"harmonia.cli.{_name}:{'app' if _name in _WITH_COMMANDS else _name}",
        name=_name,
        help=_help,
    )


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors go to stderr as one message."""
    try:
        if arguments and arguments[0] in _COMMANDS and app[arguments[0]].default_command is not None:
            # the list of commands has one line of each; a command's own page tells all of its docstring
            app[arguments[0]].help = None
        app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _fail(str(error), 2)
    except HarmoniaError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted; what was finished is kept, go on with --resume", 1)
    except BrokenPipeError:
        # the reader of our output went away, as `| head` does; stop quietly
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except PermissionError as error:
        return _fail(f"{error.filename}: permission denied; choose a place that may be read and written", 2)
    except MemoryError:
        return _fail("out of memory; choose fewer --workers or smaller batches, as with --set solver.batch=1024", 1)
    except Exception as error:
        if os.environ.get("HARMONIA_DEBUG"):
            raise
        return _fail(f"internal error: {type(error).__name__}: {error} (HARMONIA_DEBUG=1 shows where)", 1)
    return 0


def _fail(message: str, code: int) -> int:
    print(f"harmonia: {' '.join(message.split())}", file=sys.stderr)
    return code


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))
