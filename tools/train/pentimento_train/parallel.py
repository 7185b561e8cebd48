"""Training by several processes, each with pictures of its own: their gradients are averaged.

`torchrun --nproc-per-node N` starts them. Weights begin alike and take the same steps, so they stay
alike without being sent. Alone, every function here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor


def join(device: str) -> None:
    """Meets the other processes that `torchrun` started, if it did."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        if device == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")


def leave() -> None:
    """Ends what `join` began."""
    if dist.is_initialized():
        dist.destroy_process_group()


def wait() -> None:
    """Returns once every process has come here."""
    if dist.is_initialized():
        dist.barrier()


def place() -> tuple[int, int]:
    """This process's number, and how many there are."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def processes() -> int:
    """How many there are."""
    return place()[1]


def average(tensors: list[Tensor]) -> None:
    """Replaces each tensor by its mean over the processes, all in one message."""
    if processes() == 1 or not tensors:
        return
    together = torch.cat([t.flatten() for t in tensors])
    dist.all_reduce(together)
    together /= processes()
    for tensor, mean in zip(tensors, together.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))


def average_gradients(optimizer: torch.optim.Optimizer) -> None:
    """To be called between the backward pass and an optimiser's step."""
    average([p.grad for p in _parameters(optimizer) if p.grad is not None])


def agreed(value: float) -> float:
    """The first process's value: clocks differ."""
    if processes() == 1:
        return value
    message = torch.tensor(value, dtype=torch.float64)
    dist.broadcast(message, 0)
    return message.item()


def gathered(value: Tensor) -> list[Tensor]:
    """Every process's value, in the order of their numbers."""
    if processes() == 1:
        return [value]
    everybody = [torch.empty_like(value) for _ in range(processes())]
    dist.all_gather(everybody, value)
    return everybody


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]
