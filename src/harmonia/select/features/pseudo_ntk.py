"""The pseudo tangent kernel: features are the gradient of the sum of all outputs, g(x) = 1/T sum_t grad 1.f_t(x).

NTK-Selector aligns pool and target by <g(x), g(x')> in the parameters of LoRA adapters (Wang et al. 2025, arXiv
2511.07380; the kernel: Mohamadi et al. 2023, arXiv 2206.12543). It equals the trace of the tangent kernel plus cross
terms that vanish only if the rows of the head are uncorrelated; probe-ntk has no such error.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from harmonia.select.features.tangent import Tangent


class PseudoNTK(Tangent):
    """Gradients of the sum of all outputs of a language model."""

    kind: Literal["pseudo-ntk"] = "pseudo-ntk"

    references: ClassVar[tuple[str, ...]] = ("wang2025ntkselector", "mohamadi2023pseudontk", "hu2022lora")

    def readout(self, model: Any) -> tuple[Any, int]:
        import torch

        from harmonia.models.tangent_lm import SummedOutputs, warn_of_centred_head

        warn_of_centred_head(model)
        head = model.get_output_embeddings().weight
        return SummedOutputs(model, torch.ones(1, len(head), dtype=head.dtype, device=head.device)), 1
