"""What prints, scanners and software do to a photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from faces import picture

from pentimento_train.data import recoloured
from pentimento_train.degradation import Damage, degrade, degrade_small, from_bytes, gray, luma
from pentimento_train.old_photos import bled, cast, halftoned, scratched, screen, toned
from pentimento_train.processing import (
    bilateral,
    median,
    non_local_means,
    rescaled,
    sharpened,
    waxy,
)
from pentimento_train.run_config import RunConfig

CONFIG = RunConfig.from_toml(Path(__file__).with_name("tiny.toml"))
KINDS = (toned, cast, halftoned, bled, scratched, waxy, sharpened, rescaled)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_follows_its_seed_and_keeps_the_shape(kind) -> None:
    for side in (5, 24):
        x = from_bytes(picture(0, side))
        for seed in range(6):
            first, again = (kind(x, np.random.default_rng(seed)) for _ in range(2))
            assert torch.equal(first, again)
            assert first.shape == x.shape
            assert torch.isfinite(first).all() and first.abs().max() < 2


def test_a_tone_keeps_black_white_and_the_order_of_grays() -> None:
    ramp = torch.linspace(-1, 1, 64).expand(3, 4, 64).contiguous()
    for seed in range(12):
        out = toned(ramp, np.random.default_rng(seed))
        light = luma(out)[0, 0]
        assert (light.diff() > 0).all()
        assert light[0] < -0.95 and light[-1] > 0.8
        assert (out[:, 0, 32] - light[32]).abs().max() > 0.01


def test_faded_dyes_lose_contrast_and_turn_warm() -> None:
    ramp = torch.linspace(-1, 1, 64).expand(3, 4, 64).contiguous()
    outs = torch.stack([cast(ramp, np.random.default_rng(seed)) for seed in range(40)])
    contrast = (outs[..., -1] - outs[..., 0]).mean()
    assert 1.2 < contrast < 1.9
    assert outs[:, 0].mean() > outs[:, 2].mean() + 0.03


def test_a_screen_prints_every_gray_as_so_much_ink() -> None:
    thresholds = screen(200, 7.3, 31.0, np.array([0.1, 0.6]))
    for part in (0.1, 0.35, 0.5, 0.8):
        assert (thresholds < part).float().mean().item() == pytest.approx(part, abs=0.02)


def test_halftone_keeps_the_mean_and_makes_waves_of_its_period() -> None:
    flat = torch.full((3, 96, 96), -0.2)
    for seed in range(4):
        out = halftoned(flat, np.random.default_rng(seed))
        assert out.mean().item() == pytest.approx(-0.2, abs=0.08)
        # A gray picture is printed in black alone.
        assert torch.allclose(out[0], out[2], atol=1e-5)
        power = torch.fft.rfft2(out[0] - out[0].mean()).abs().square()
        rows = torch.fft.fftfreq(96)[:, None].abs()
        waves = torch.hypot(rows, torch.fft.rfftfreq(96)[None])
        assert power[waves > 0.2].sum() > 0.8 * power.sum()


def test_colours_bleed_and_light_does_not() -> None:
    x = from_bytes(picture(3, 32))
    out = bled(x, np.random.default_rng(1))
    torch.testing.assert_close(luma(out), luma(x), atol=1e-4, rtol=0)
    edge = torch.zeros(3, 16, 16)
    edge[0, :, 8:] = 1
    assert (bled(edge, np.random.default_rng(2)) - edge)[:, :, 6:10].abs().max() > 0.1


def test_scratches_cover_little_and_are_of_one_tone() -> None:
    x = torch.zeros(3, 128, 128)
    covered = []
    for seed in range(20):
        out = scratched(x, np.random.default_rng(seed))
        assert (out >= 0).all() or (out <= 0).all()
        covered.append((out.abs() > 0.05).float().mean().item())
    assert 0 < np.mean(covered) < 0.1


def test_denoisers_take_noise_away_and_keep_an_edge() -> None:
    edge = torch.full((3, 32, 32), -0.5)
    edge[..., 16:] = 0.5
    noisy = edge + 0.05 * torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))
    for out in (median(noisy, 1), bilateral(noisy, 2, 0.3), non_local_means(noisy, 2, 0.2)):
        assert (out - edge)[..., 4:12].std() < 0.7 * 0.05
        assert (out - edge)[..., 14:18].abs().mean() < 0.06
    assert median(edge, 2).equal(edge)


def test_sharpening_leaves_halos_on_both_sides() -> None:
    edge = torch.full((3, 32, 32), -0.4)
    edge[..., 16:] = 0.4
    for seed in range(4):
        out = sharpened(edge, np.random.default_rng(seed))
        assert out.max() > 0.45 and out.min() < -0.45
        assert torch.allclose(out[..., :4], edge[..., :4], atol=1e-5)


def test_rescaling_makes_no_light() -> None:
    x = from_bytes(picture(1, 40))
    changed = 0
    for seed in range(6):
        out = rescaled(x, np.random.default_rng(seed))
        assert out.mean().item() == pytest.approx(x.mean().item(), abs=0.05)
        changed += not torch.equal(out, x)
    assert changed >= 4


def test_shares_are_followed() -> None:
    """All damage at once survives many seeds; none of it leaves the pictures as they were."""
    x = from_bytes(picture(0, 32))
    every = Damage(*(1.0,) * 8)
    with_all = replace(CONFIG.degradation, damage=every, gray=0.5)
    without = replace(CONFIG.degradation, damage=Damage())
    for seed in range(8):
        small = degrade_small(x, with_all, np.random.default_rng(seed))
        assert torch.isfinite(small).all()
    plain = degrade(x, CONFIG.degradation, np.random.default_rng(3))
    assert degrade(x, without, np.random.default_rng(3)).shape == plain.shape
    toned_ones = 0
    for seed in range(40):
        out = recoloured(x, with_all, np.random.default_rng(seed))
        assert not torch.equal(out, x)
        toned_ones += bool((gray(out) - gray(x)).abs().max() < 0.3)
    assert 5 < toned_ones <= 40
    assert torch.equal(recoloured(x, replace(without, gray=0.0), np.random.default_rng(1)), x)
