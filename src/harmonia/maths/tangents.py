"""Tangent kernels and alignment with a mean gradient, without storing a gradient per example.

Theta(x, x') = J(x) J(x')^T says how far a step on x moves f(x'). With u random signs, <grad u.f(x), grad u.f(x')> has
mean tr Theta(x, x'); all ones is the pseudo kernel. By linearity the mean over targets comes first,
mean_i <g_i, g_j> = <mean_i g_i, g_j> = d/de F(x_j; theta + e gbar) at 0: one forward-mode pass for a whole batch.

Jacot et al. 2018 (arXiv 1806.07572); pseudo kernel: Mohamadi et al. 2023 (arXiv 2206.12543).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import jacrev, jvp, vmap

Parameters = dict[str, Tensor]
"""The parameters that are differentiated, by name."""

Scalars = Callable[[Parameters, Any], Tensor]
"""F(theta, batch) -> (b,): one number per example of a batch."""

Network = Callable[[Parameters, Tensor], Tensor]
"""f(theta, x) -> (V,): all outputs for one input."""


def inner(a: Parameters, b: Parameters) -> Tensor:
    """Return <a, b>, summed in float64: a scalar."""
    return torch.stack([(a[name].double() * b[name].double()).sum() for name in a]).sum()


def norm(a: Parameters) -> float:
    """Return |a|."""
    return float(inner(a, a).sqrt())


def gradient(f: Scalars, theta: Parameters, batch: Any) -> Parameters:
    """Return the gradient of the sum of F over a batch, by reverse mode; zero for parameters that F does not use."""
    leaves = {name: value.detach().requires_grad_() for name, value in theta.items()}
    with torch.enable_grad():
        total = f(leaves, batch).sum()
        if not total.requires_grad:
            return {name: torch.zeros_like(value) for name, value in theta.items()}
        found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(value) if g is None else g for (name, value), g in zip(theta.items(), found, strict=True)
    }


def mean_gradient(
    fs: Sequence[Scalars], theta: Parameters, batches: Iterable[Any], count: int, *, unit: bool = False
) -> list[Parameters]:
    """Return the mean over examples of the gradient of each F_r: R directions in float64.

    Args:
        fs: R functions. The feature of an example is its R gradients side by side, divided by sqrt(R).
        theta: where to differentiate.
        batches: the examples, in batches of any size; one at a time when ``unit``.
        count: how many examples there are.
        unit: scale every example's feature to length one first, so that none outweighs the others.
    """
    total = [{name: torch.zeros_like(value, dtype=torch.float64) for name, value in theta.items()} for _ in fs]
    for batch in batches:
        gradients = [gradient(f, theta, batch) for f in fs]
        length = feature_norm(gradients) if unit else 1.0
        for mean, g in zip(total, gradients, strict=True):
            for name, value in g.items():
                mean[name] += value.double() / (count * (length or 1.0))
    return total


def feature_norm(gradients: Sequence[Parameters]) -> float:
    """Return the length of the feature that R gradients make: sqrt(mean_r |g_r|^2)."""
    return math.sqrt(sum(float(inner(g, g)) for g in gradients) / len(gradients))


def along_forward(f: Scalars, theta: Parameters, direction: Parameters, batch: Any) -> Tensor:
    """Return d/de F(x; theta + e direction) at 0 for every example, by one Jacobian-vector pass: (b,)."""
    tangent = {name: direction[name].to(value.dtype) for name, value in theta.items()}
    return jvp(lambda parameters: f(parameters, batch), (theta,), (tangent,))[1]


def along_difference(f: Scalars, theta: Parameters, direction: Parameters, batch: Any, step: float) -> Tensor:
    """Return the same by the central difference (F(theta + s v) - F(theta - s v)) / 2s: two forward passes, (b,)."""
    with torch.no_grad():
        ahead = f({name: value + step * direction[name].to(value.dtype) for name, value in theta.items()}, batch)
        behind = f({name: value - step * direction[name].to(value.dtype) for name, value in theta.items()}, batch)
    return (ahead - behind) / (2 * step)


def along_reverse(
    fs: Sequence[Scalars],
    theta: Parameters,
    directions: Sequence[Parameters],
    examples: Iterable[Any],
    *,
    unit: bool = False,
) -> Tensor:
    """Return mean_r <grad F_r(x), direction_r> by a backward pass per example and probe: (n,) float64.

    Args:
        fs: R functions.
        theta: where to differentiate.
        directions: R directions.
        examples: batches of one example.
        unit: divide by the length of the example's feature, which makes the kernel a cosine on this side.
    """
    found = []
    for example in examples:
        gradients = [gradient(f, theta, example) for f in fs]
        dot = torch.stack([inner(g, v) for g, v in zip(gradients, directions, strict=True)]).mean()
        found.append(dot / (feature_norm(gradients) or 1.0) if unit else dot)
    return torch.stack(found)


def jacobian(f: Network, theta: Parameters, x: Tensor) -> Tensor:
    """Return the Jacobian of all outputs at every input: (n, V, P)."""
    parts = vmap(jacrev(f), in_dims=(None, 0))(theta, x)
    return torch.cat([part.flatten(start_dim=2) for part in parts.values()], dim=2)


def trace_kernel(f: Network, theta: Parameters, x: Tensor, y: Tensor) -> Tensor:
    """Return tr Theta(x_i, y_j) = sum_k <grad f_k(x_i), grad f_k(y_j)>: (n, m). Needs all V P numbers per example."""
    return torch.einsum("nvp,mvp->nm", jacobian(f, theta, x), jacobian(f, theta, y))


def probe_kernel(f: Network, theta: Parameters, x: Tensor, y: Tensor, probes: Tensor) -> Tensor:
    """Return mean_r <grad u_r.f(x_i), grad u_r.f(y_j)>: (n, m).

    Args:
        f: outputs for one input.
        theta: where to differentiate.
        x: (n, ...) inputs.
        y: (m, ...) inputs.
        probes: (R, V), the u_r; random signs estimate the trace kernel without bias, all 2^V of them give it exactly.
    """
    gx = torch.einsum("rv,nvp->rnp", probes, jacobian(f, theta, x))
    gy = torch.einsum("rv,mvp->rmp", probes, jacobian(f, theta, y))
    return torch.einsum("rnp,rmp->nm", gx, gy) / len(probes)


def pseudo_kernel(f: Network, theta: Parameters, x: Tensor, y: Tensor) -> Tensor:
    """Return <grad 1.f(x_i), grad 1.f(y_j)>: (n, m).

    Not a function of the predictions: subtracting the mean row of a softmax head leaves every probability as it was
    and makes this kernel zero.
    """
    with torch.no_grad():
        outputs = f(theta, x[0])
    return probe_kernel(f, theta, x, y, torch.ones_like(outputs)[None])
