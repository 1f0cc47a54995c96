"""Training of routers and projectors by the loss of the next token, experts frozen."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from harmonia.core.errors import InputError, require
from harmonia.core.seeds import generator

if TYPE_CHECKING:
    from torch import Tensor, nn

    from harmonia.models.mixture.mixture import Mixture
    from harmonia.models.pretrained import TokenBatch


def train(
    mixture: Mixture,
    domains: Sequence[Sequence[TokenBatch]],
    *,
    steps: int,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.01,
    balance: float = 0.0,
    trainer: Literal["loop", "hf"] = "loop",
    everything: bool = False,
    seed: int = 0,
) -> list[float]:
    """Train the gates and projectors of a mixture in place; return the losses of the updates.

    Args:
        mixture: is left in evaluation mode and without gradients.
        domains: batches of each domain, which all come up equally often.
        steps: updates.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        balance: what unequal shares of experts cost.
        trainer: a plain loop, or the Trainer of transformers.
        everything: train experts and what they share, too.
        seed: of the order of batches.

    Raises:
        InputError: nothing to train, no texts, or a loss that is not finite.
        MissingExtraError: trainer=hf without accelerate.
    """
    mixture.requires_grad_(everything)
    moved = list(mixture.parameters()) if everything else _moved(mixture)
    if not moved:
        raise InputError("nothing to train: this mixture has neither gates nor projectors")
    if not domains or any(not len(batches) for batches in domains):
        raise InputError("no texts to train on: give at least one batch of each domain")
    for parameter in moved:
        parameter.requires_grad_(True)
    run = _by_trainer if trainer == "hf" else _by_loop
    try:
        return run(mixture, moved, list(_order(domains, steps, seed)), learning_rate, weight_decay, balance)
    finally:
        mixture.requires_grad_(False)
        mixture.eval()


def loss_of(mixture: Any, ids: Tensor, mask: Tensor, balance: float) -> Tensor:
    """Return the mean nats per predicted token, plus what unequal shares cost."""
    found = mixture(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100))
    return found.loss + balance * imbalance(mixture, ids, mask) if balance else found.loss


def imbalance(mixture: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Return l sum_i f_i p_i, mean over gates, of the last pass: 1 where experts get equal shares, at most l."""
    import torch

    from harmonia.models.mixture.token_mixture import TokenMixture

    if isinstance(mixture, TokenMixture):
        shown = mask.bool()
        scores = [layer.scores[shown] for layer in mixture.feed_forwards if layer.scores is not None]
    else:
        scores = [mixture.decision(mixture, ids, mask)[0]]
    costs = []
    for each in scores:
        chosen = torch.zeros_like(each).scatter(-1, each.topk(mixture.record.top_k).indices, 1.0)
        shares = chosen.mean(dim=0) / mixture.record.top_k
        costs.append(each.shape[-1] * (shares * torch.softmax(each, dim=-1).mean(dim=0)).sum())
    return torch.stack(costs).mean()


def _moved(mixture: Any) -> list[nn.Parameter]:
    bridge = getattr(mixture, "bridge", None)
    return [*mixture.gates(), *([*bridge.into.parameters(), *bridge.out.parameters()] if bridge is not None else [])]


def _order(domains: Sequence[Sequence[TokenBatch]], steps: int, seed: int) -> Iterator[TokenBatch]:
    """Yield one batch for each update: all domains in turn, in a new order each time, and their batches likewise."""
    draw = generator(seed, "routing", "order")
    waiting: list[list[int]] = [[] for _ in domains]
    turns: list[int] = []
    for _ in range(steps):
        turns = turns or draw.permutation(len(domains)).tolist()
        domain = turns.pop()
        waiting[domain] = waiting[domain] or draw.permutation(len(domains[domain])).tolist()
        yield domains[domain][waiting[domain].pop()]


def _by_loop(
    mixture: Any, moved: list[nn.Parameter], batches: list[TokenBatch], rate: float, decay: float, balance: float
) -> list[float]:
    import torch

    optimiser = torch.optim.AdamW(moved, lr=rate, weight_decay=decay)
    losses = []
    for step, batch in enumerate(batches):
        optimiser.zero_grad()
        loss = loss_of(mixture, batch.ids, batch.mask, balance)
        if not torch.isfinite(loss):
            raise InputError(f"the loss of update {step + 1} is not finite: lower routing.learning_rate")
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def _by_trainer(
    mixture: Any, moved: list[nn.Parameter], batches: list[TokenBatch], rate: float, decay: float, balance: float
) -> list[float]:
    require("accelerate", "eval")
    import torch
    import transformers

    class Trainer(transformers.Trainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(batches)  # their order is drawn already

        def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Any:
            return loss_of(model, inputs["ids"], inputs["mask"], balance)

    with tempfile.TemporaryDirectory() as folder:
        settings = transformers.TrainingArguments(
            output_dir=folder,
            max_steps=len(batches),
            per_device_train_batch_size=1,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            save_strategy="no",
            report_to=[],
            logging_steps=1,
            disable_tqdm=True,
            remove_unused_columns=False,
            use_cpu=next(mixture.parameters()).device.type == "cpu",
            dataloader_pin_memory=False,
        )
        trainer = Trainer(
            model=mixture,
            args=settings,
            train_dataset=[{"ids": batch.ids, "mask": batch.mask} for batch in batches],
            data_collator=lambda items: items[0],
            optimizers=(torch.optim.AdamW(moved, lr=rate, weight_decay=decay), None),
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
