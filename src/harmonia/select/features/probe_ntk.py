"""The tangent kernel by random probes: g_r(x) = 1/T sum_t grad u_r.f_t(x) with shared random signs u_r, r = 1..R.

mean_r <g_r(x), g_r(x')> is an unbiased estimate of the trace of the tangent kernel tr J(x) J(x')^T (Hutchinson 1990),
whatever the rows of the head, at R times the cost of pseudo-ntk.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from harmonia.core.seeds import generator
from harmonia.select.features.tangent import Tangent


class ProbeNTK(Tangent):
    """Gradients of randomly signed sums of the outputs of a language model."""

    kind: Literal["probe-ntk"] = "probe-ntk"

    probes: Annotated[int, Field(ge=1)] = 8
    """R, number of random sign vectors over the vocabulary."""

    references: ClassVar[tuple[str, ...]] = ("wang2025ntkselector", "jacot2018ntk", "hutchinson1990trace", "hu2022lora")

    def readout(self, model: Any) -> tuple[Any, int]:
        import torch

        from harmonia.models.tangent_lm import SummedOutputs

        head = model.get_output_embeddings().weight
        signs = 2 * generator(self.seed, "probes").integers(0, 2, (self.probes, len(head))) - 1
        return SummedOutputs(model, torch.as_tensor(signs, dtype=head.dtype, device=head.device)), self.probes
