import importlib.util
import sys
from pathlib import Path

# tests are imported by path, so the generators that they share are loaded under names of their own
for _name in ("made_up_run", "made_up_policy", "made_up_training"):
    _spec = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(f"{_name}.py"))
    assert _spec is not None and _spec.loader is not None
    sys.modules[_name] = _module = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_module)
