import numpy as np
import pytest

import harmonia
from harmonia.core.errors import InputError


@pytest.fixture
def texts(llamas):
    return {name: str(path) for name, path in llamas.texts.items()}


def test_fitted_coefficients_are_told_and_kept(llamas, texts, tmp_path):
    steps = ["weights.steps=5", "weights.learning_rate=0.05"]
    experts, given = [llamas.law, llamas.code], {"base": llamas.base, "prompts": texts, "settings": steps}
    result = harmonia.merge(experts, "ada-merging-task", out=tmp_path / "r", **given)
    fit = result.summary["fit"]
    assert list(fit["coefficients"]) == ["model"] and fit["steps"] == 5
    assert sum(fit["entropy"]["after"]) < sum(fit["entropy"]["before"])
    assert "2 coefficients were fitted in 5 updates" in result.report().read_text()
    with pytest.raises(InputError, match="fits its coefficients to text of each expert"):
        harmonia.merge.dry_run(experts, "ada-merging-task", base=llamas.base)
    told = harmonia.merge.dry_run(experts, "ada-merging-task", base=llamas.base, prompts=texts)
    assert told["memory"] > 0 and told["bytes"]["written"] > 0
    row = harmonia.compare(
        "merge",
        experts,
        ["ada-merging-task", "linear"],
        data=texts,
        length=32,
        windows=1,
        seeds=[0, 1],
        out=tmp_path / "c",
        **given | {"settings": ()},
    )["recipes"]["ada-merging-task"]
    assert all(np.isfinite(row["perplexity/mean"]["values"]))
    with pytest.raises(InputError, match="is fitted to the predictions of one dense model"):
        harmonia.merge(experts, "ada-merging", **given | {"settings": ["routing=ppl"]})
