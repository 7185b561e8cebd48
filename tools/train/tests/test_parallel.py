"""Two processes with half a batch each take the step of one with all of it."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from faces import faces, source
from runs import TINY, only

from pentimento_train import parallel
from pentimento_train.data import Pairs
from pentimento_train.run_config import RunConfig
from pentimento_train.train import Trainer


def short(stage: str, batch: int) -> RunConfig:
    """One stage of four steps, `batch` pictures in each."""
    config = only(RunConfig.from_toml(TINY), stage)
    kept = getattr(config, stage)
    kept = replace(kept, schedule=replace(kept.schedule, batch=batch, steps=4))
    return replace(config, **{stage: kept})


def process(rank: int, port: int, folder: Path, stage: str) -> None:
    """What `torchrun` does for each process, and a run."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    parallel.join("cpu")
    trainer = Trainer(short(stage, 2), folder)
    config = trainer.config
    trainer.train(source(6, config), faces(2, config.model.size))
    torch.save(trainer.networks.model.state_dict(), folder / f"weights-{rank}.pt")
    parallel.leave()


def by_two(folder: Path, stage: str) -> list[dict[str, torch.Tensor]]:
    """The weights of both processes at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(process, (port, folder, stage), nprocs=2)
    return [torch.load(folder / f"weights-{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("stage", ["reconstruction", "restoration"])
def test_processes_stay_alike(stage: str, tmp_path: Path) -> None:
    first, second = by_two(tmp_path, stage)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_two_halves_make_the_same_steps(tmp_path: Path) -> None:
    halves, _ = by_two(tmp_path, "reconstruction")
    config = short("reconstruction", 4)
    trainer = Trainer(config, tmp_path / "whole")
    (tmp_path / "whole").mkdir()
    trainer.train(source(6, config), faces(2, config.model.size))
    before = Trainer(config, tmp_path / "before").networks.model.state_dict()
    for name, value in trainer.networks.model.state_dict().items():
        # Adam's first steps are the sign of the gradient: what is nearly zero may differ.
        moved = (value - before[name]).norm()
        assert (value - halves[name]).norm() <= 1e-2 * moved + 1e-6, name


def test_processes_take_turns() -> None:
    """Sample `i` belongs to one process, and to the same place in the run."""
    config = RunConfig.from_toml(TINY)
    alone = iter(Pairs(source(6, config), 2, 1, 0))
    expected = [next(alone).target for _ in range(4)]
    for rank in range(2):
        turns = iter(Pairs(source(6, config), 2, 1, 0, (rank, 2)))
        for turn in range(2):
            assert torch.equal(next(turns).target, expected[2 * turn + rank])
