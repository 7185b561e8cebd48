"""Borders, light, glasses, and the landmark term."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from faces import faces, picture, source
from pentimento_reference.yunet import YuNet, priors
from runs import TINY, only

from pentimento_train.alignment import TEMPLATE, Jitter
from pentimento_train.borders import inside, known_borders, mirrored_borders
from pentimento_train.data import Batch, Pairs, Repetition
from pentimento_train.degradation import from_bytes
from pentimento_train.glasses import Glasses, drawn
from pentimento_train.landmark_loss import landmark_distance
from pentimento_train.light import Light
from pentimento_train.restoration import Restoration
from pentimento_train.run_config import RunConfig
from pentimento_train.train import Trainer


def textured(side: int, seed: int) -> torch.Tensor:
    """uint8 [3, side, side] without any symmetry."""
    return (torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed)) * 255).byte()


def test_mirrored_borders_are_found_at_every_side(tmp_path: Path) -> None:
    plain = textured(64, 1)
    left = plain.clone()
    left[..., :9] = plain[..., 9:18].flip(-1)
    top = plain.clone()
    top[:, :7] = plain[:, 8:15].flip(-2)
    pictures = torch.stack([plain, left, left.flip(-1), top, top.flip(-2)])
    wanted = [[0] * 4, [9, 0, 0, 0], [0, 0, 9, 0], [0, 7, 0, 0], [0, 0, 0, 7]]
    assert mirrored_borders(pictures).tolist() == wanted
    flat = torch.full((1, 3, 64, 64), 90, dtype=torch.uint8)
    assert mirrored_borders(flat).tolist() == [[0] * 4]
    assert known_borders(tmp_path, pictures).tolist() == wanted
    # The second time they are read.
    assert known_borders(tmp_path, flat).tolist() == wanted


def test_inside_follows_the_mirror_and_the_warp() -> None:
    borders = torch.tensor([4, 2, 0, 1])
    whole = inside(borders, 16, False, None)
    assert whole.sum() == 12 * 13
    assert torch.equal(inside(borders, 16, True, None), whole.flip(-1))
    matrix = torch.tensor([[1, 0, 0.5], [0, 1.0, 0]])
    shifted = inside(torch.zeros(4, dtype=torch.int64), 16, False, matrix)
    assert shifted[..., :11].all() and not shifted[..., 13:].any()


def test_what_is_outside_has_no_gradient(tmp_path: Path) -> None:
    """The mirrored half may be anything: the weights after a step do not depend on its target."""
    config = only(RunConfig.from_toml(TINY), "restoration")
    assert config.restoration is not None
    restoration = replace(
        config.restoration,
        inside_only=True,
        critics=None,
        balanced=False,
        loss={"charbonnier": 1.0, "parts": 0.5},
    )
    config = replace(config, restoration=restoration)
    target = faces(2, 16).float() / 127.5 - 1
    half = torch.ones(2, 1, 16, 16)
    half[..., 8:] = 0
    other = torch.where(half > 0, target, -target)
    after = []
    for wanted in (target, other):
        trainer = Trainer(config, tmp_path)
        stage = Restoration(trainer.networks, restoration, None)
        stage.train_step(Batch(target, wanted, TEMPLATE.repeat(2, 1, 1), half))
        after.append(trainer.networks.model.encoder.stem.weight.detach().clone())
    torch.testing.assert_close(after[0], after[1], atol=1e-6, rtol=1e-4)


def test_light_changes_colours_and_keeps_outlines() -> None:
    light = Light(1.0, 0.15, 0.2, 0.2, 0.2)
    x = from_bytes(picture(2, 48))
    changes = [light.change(x, np.random.default_rng(seed)) for seed in range(8)]
    for out in changes:
        assert out.abs().max() <= 1 and torch.isfinite(out).all()
        alike = torch.corrcoef(torch.stack([out.flatten(), x.flatten()]))[0, 1]
        assert alike > 0.7
    assert np.mean([(out - x).abs().mean().item() for out in changes]) > 0.05
    assert torch.equal(replace(light, part=0.0).change(x, np.random.default_rng(1)), x)


def test_glasses_surround_the_eyes_and_leave_the_rest() -> None:
    x = torch.zeros(3, 256, 256)
    for seed in range(30):
        out = drawn(x, TEMPLATE, np.random.default_rng(seed))
        changed = (out - x).abs().amax(0) > 0.05
        assert out.abs().max() <= 1
        rows, columns = changed.nonzero().T
        assert 0.30 * 256 < rows.min() and rows.max() < 0.62 * 256
        assert columns.min() < 0.36 * 256 and columns.max() > 0.64 * 256
        assert 0.002 < changed.float().mean() < 0.15
    turned = torch.stack([1 - TEMPLATE[:, 1], TEMPLATE[:, 0]], 1)
    upright = drawn(x, TEMPLATE, np.random.default_rng(3))
    lying = drawn(x, turned, np.random.default_rng(3))
    change = ((lying.rot90(1, (1, 2)) - upright).abs().mean(), upright.abs().mean())
    assert change[0] < 0.5 * change[1]


def test_glasses_are_for_faces_that_look_ahead() -> None:
    x, always = torch.zeros(3, 64, 64), Glasses(1.0)
    aside = TEMPLATE.clone()
    aside[2, 0] += 0.1
    rng = np.random.default_rng(1)
    assert not torch.equal(always.put_on(x, TEMPLATE, rng), x)
    assert torch.equal(always.put_on(x, aside, rng), x)
    assert torch.equal(Glasses(0.0).put_on(x, TEMPLATE, rng), x)


def test_the_stream_has_all_of_it_and_follows_its_seed() -> None:
    config = RunConfig.from_toml(TINY)
    plain = source(4, config)
    whole = replace(
        plain,
        borders=torch.tensor([[2, 0, 0, 0]] * 4),
        light=Light(1.0, 0.1, 0.1, 0.1, 0.1),
        glasses=Glasses(1.0),
        repeated=(0,),
    )
    first, again = (next(iter(Pairs(whole, 4, 3, 0))) for _ in range(2))
    assert first.inside is not None and again.inside is not None
    assert torch.equal(first.degraded, again.degraded) and torch.equal(first.inside, again.inside)
    assert 0.5 < first.inside.mean() < 1
    assert not torch.equal(first.target, next(iter(Pairs(plain, 4, 3, 0))).target)


def test_profiles_are_shown_as_often_as_said() -> None:
    aside = TEMPLATE.clone()
    aside[2, 0] += 0.09
    landmarks = torch.stack([TEMPLATE, aside, TEMPLATE])
    assert Repetition(Path("faces.txt"), 1, 3).turned(landmarks) == (1, 1)
    assert Repetition(Path("faces.txt"), 4).turned(landmarks) == ()


def test_a_wide_jitter_is_wider() -> None:
    def spread(wide: float) -> float:
        jitter = Jitter(1.0, 4.0, 0.05, 0.015, wide)
        drawn_ = [jitter.draw(np.random.default_rng(i)) for i in range(300)]
        return float(np.std([m[1, 0].item() for m in drawn_ if m is not None]))

    assert spread(0.0) == pytest.approx(np.radians(4.0), rel=0.1)
    assert spread(1.0) == pytest.approx(2.3 * np.radians(4.0), rel=0.12)


class Seer(YuNet):
    """Sees a face in every cell, its landmarks about the centre of what is bright, 40 pixels high."""

    sure = 4.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        light = x.mean(1)
        axis = torch.arange(x.shape[-1], dtype=torch.float32)
        whole = light.sum((1, 2))
        centre = torch.stack([(light.sum(1) * axis).sum(1), (light.sum(2) * axis).sum(1)], 1)
        face = torch.tensor([[-20.0, -20], [20, -20], [0, 0], [-15, 20], [15, 20]])
        points = (centre / whole[:, None])[:, None] + face
        prior = priors(*x.shape[2:])
        offsets = (points[:, None] - prior[None, :, None, :2]) / prior[None, :, None, 2:]
        head = torch.zeros(*offsets.shape[:2], 6)
        head[..., :2] = self.sure
        return torch.cat([head, offsets.flatten(2)], 2)


def test_the_landmark_term_is_the_way_that_they_moved() -> None:
    target = torch.full((2, 3, 64, 64), -1.0)
    target[:, :, 20:30, 20:30] = 1
    moved = target.roll(8, -1)
    detector = Seer()
    assert landmark_distance(detector, target, target).item() < 1e-3
    away = landmark_distance(detector, moved, target).item()
    assert away == pytest.approx(8 / 40, rel=1e-3)
    half = torch.tensor([1.0, 0.0])
    assert landmark_distance(detector, moved, target, half).item() == pytest.approx(0.1, rel=1e-3)
    pictures = moved.clone().requires_grad_()
    landmark_distance(detector, pictures, target).backward()
    assert pictures.grad is not None and pictures.grad.abs().max() > 0
    detector.sure = -2.0
    assert landmark_distance(detector, moved, target).item() == 0
