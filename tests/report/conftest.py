import importlib.util
import sys
from pathlib import Path

# tests are imported by path, so the generator that they share is loaded under a name of its own
_spec = importlib.util.spec_from_file_location("made_up_run", Path(__file__).with_name("made_up_run.py"))
assert _spec is not None and _spec.loader is not None
sys.modules["made_up_run"] = _module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
