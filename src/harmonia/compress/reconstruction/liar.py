"""LIAR: kept inputs and a bias stand in for those that are gone."""

from __future__ import annotations

from typing import ClassVar, Literal

from harmonia.compress.reconstruction.ls import LeastSquares


class Liar(LeastSquares):
    """Every removed input is replaced by an affine combination of kept ones, folded into weights and bias.

    A = (Gc_SS + lam)^-1 Gc_SR and c = mean_R - A^T mean_S, Gc about the means; W' = W_S + W_R A^T, (d_out, s), and
    b' = b + W_R c, (d_out,). A very large ridge leaves the bias alone. LIAR: Wang et al. 2024 (arXiv 2407.13331).
    """

    kind: Literal["liar"] = "liar"  # type: ignore[assignment]
    centred: ClassVar[bool] = True
