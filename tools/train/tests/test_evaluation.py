"""Losses, metrics and distances on known values, and the tables."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from faces import faces
from pentimento_reference import yunet
from pentimento_reference.srvgg import Srvgg
from safetensors.torch import save_file

from pentimento_train.alignment import TEMPLATE
from pentimento_train.distances import Reference, frechet, kernel
from pentimento_train.evaluate import (
    Judge,
    bicubic,
    enlarger,
    evaluate,
    interval,
    level_table,
    paired_table,
    poses,
)
from pentimento_train.feature_network import batch_loss, load_features, train
from pentimento_train.levels import LEVELS, Degraded, degraded
from pentimento_train.losses import (
    PICTURE_TERMS,
    checkerboard,
    feature_distance,
    focal_frequency,
    picture_loss,
)
from pentimento_train.metrics import (
    frequency_error,
    gradient_error,
    measures,
    ms_ssim,
    psnr,
    ssim,
)
from pentimento_train.texture import strengths, texture_distance
from pentimento_train.vgg16 import from_keras


def test_losses_vanish_only_for_equal_pictures() -> None:
    weights = dict.fromkeys(PICTURE_TERMS, 1.0)
    x = torch.rand(2, 3, 16, 16)
    equal, _ = picture_loss(x, x, weights)
    # Three of them are Charbonnier's, 10⁻³ at zero.
    assert equal.item() == pytest.approx(3e-3, rel=1e-3)
    different, terms = picture_loss(x, x.flip(-1), weights)
    assert different > 0.1
    assert all(v > 0 for v in terms.values())
    assert set(picture_loss(x, x, {"frequency": 1.0})[1]) == {"frequency"}


def test_a_checkerboard_is_seen_and_a_shift_is_not() -> None:
    x = torch.zeros(1, 3, 16, 16)
    board = torch.ones(4, 4)
    board[::2] = -1
    assert checkerboard(x + 0.1 * board.repeat(4, 4), x).item() == pytest.approx(0.01, rel=1e-3)
    assert checkerboard(x + 0.1, x).item() == pytest.approx(0, abs=1e-9)
    noise = torch.randn(8, 3, 64, 64)
    assert checkerboard(noise, 0 * noise).item() == pytest.approx(3 / 4 / 16, rel=0.1)


def test_focal_frequency_weighs_a_lone_wave_fully() -> None:
    """One plane wave has one peak in the half spectrum; its weight is 1."""
    wave = torch.cos(2 * math.pi * torch.arange(16.0) / 16 * 3).expand(1, 1, 16, 16)
    energy = wave.square().sum() / 2 / (16 * 9)
    torch.testing.assert_close(focal_frequency(wave, torch.zeros_like(wave)), energy)


def test_feature_distance_does_not_know_scales() -> None:
    x, y = torch.randn(2, 4), torch.randn(2, 4)
    torch.testing.assert_close(
        feature_distance([x, 100 * x], [y, 100 * y]), feature_distance([x], [y])
    )


def test_a_texture_is_the_same_wherever_it_is() -> None:
    waves = torch.sin(torch.arange(64.0) * (2 * math.pi * 4 / 16)).expand(2, 3, 64, 64)
    assert texture_distance(waves.roll(2, -1), waves) < 0.02
    assert texture_distance(waves.mT, waves) > 0.5
    assert texture_distance(0 * waves, waves) > 0.1
    assert texture_distance(waves + 0.3, waves) == pytest.approx(0, abs=1e-4)
    one = torch.tensor([1.0, 0.0])
    half_wrong = torch.cat([waves[:1], 0 * waves[1:]])
    assert texture_distance(half_wrong, waves, one) == pytest.approx(0, abs=1e-6)
    assert texture_distance(half_wrong, waves, 1 - one) > 0.05


def test_strengths_are_those_of_the_fourier_transform() -> None:
    """All waves together hold what the half spectrum of a window holds beside its mean."""
    x = torch.randn(1, 1, 16, 16).expand(-1, 3, -1, -1)
    taper = torch.hann_window(16)
    window = (x[0, 0] - x[0, 0].mean()) * taper * taper[:, None]
    power = torch.fft.rfft2(window).abs().square()
    power[0, 0] = 0
    own = sum(s.square().sum().item() for s in strengths(x))
    assert own == pytest.approx(power.sum().item(), rel=1e-2)


def test_a_mesh_is_no_texture() -> None:
    """As strong as the noise that it stands for, in the noise's band, but of two waves."""
    noise = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    spectrum = torch.fft.rfft2(noise)
    down, across = torch.meshgrid(torch.fft.fftfreq(64), torch.fft.rfftfreq(64), indexing="ij")
    band = (down.square() + across.square()).sqrt().sub(3 / 16).abs() < 0.04
    textures = torch.fft.irfft2(spectrum * band).expand(-1, 3, -1, -1)
    other = textures.roll(1, 0).flip(-1).mT
    wave = torch.sin(torch.arange(64.0) * (2 * math.pi * 3 / 16))
    mesh = (wave + wave[:, None]).expand_as(textures)
    mesh = mesh / mesh.std() * textures.std()
    assert texture_distance(mesh, textures) > 2 * texture_distance(other, textures)


def test_metrics_on_known_values() -> None:
    x = faces(2, 32)
    assert torch.isinf(psnr(x, x)).all()
    torch.testing.assert_close(ssim(x, x), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(ms_ssim(x, x), torch.ones(2, dtype=torch.float64))
    assert gradient_error(x, x).sum() == frequency_error(x, x).sum() == 0
    base = torch.full((1, 3, 16, 16), 100, dtype=torch.uint8)
    assert psnr(base, base + 5).item() == pytest.approx(20 * math.log10(255 / 5))
    flat = (2 * 100 * 105 + 6.5025) / (100**2 + 105**2 + 6.5025)
    assert ssim(base, base + 5).item() == pytest.approx(flat)
    ramp = torch.arange(0, 64, 4, dtype=torch.uint8).expand(1, 3, 16, 16)
    assert gradient_error(ramp, base).item() == pytest.approx(2.0)
    noise = torch.randint(0, 128, (1, 3, 16, 16), dtype=torch.uint8)
    assert frequency_error(2 * noise, noise).item() == pytest.approx(20 * math.log10(2), abs=0.1)


def test_measures_are_the_metrics() -> None:
    x, y = faces(9, 32), faces(9, 32).flip(-1)
    together = measures(x, y)
    for name, metric in {"PSNR": psnr, "SSIM": ssim, "MS-SSIM": ms_ssim}.items():
        torch.testing.assert_close(together[name], metric(x, y))


def test_distances_on_known_values() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((4000, 3)), rng.standard_normal((4000, 3)) * 2 + [1, 0, 0]
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, b) == pytest.approx(1 + 3 * (2 - 1) ** 2, rel=0.1)
    assert abs(kernel(a[:2000], a[2000:])) < 0.1 < kernel(a, b)


def test_reference_keeps_what_varies_most() -> None:
    rng = np.random.default_rng(1)
    features = rng.standard_normal((500, 4)) * [5, 1, 0.1, 0.1]
    reference = Reference(features, 1)
    assert reference.features.std() == pytest.approx(1)
    assert abs(np.corrcoef(reference.features[:, 0], features[:, 0])[0, 1]) > 0.99
    assert reference.frechet(reference.project(features)) == pytest.approx(0, abs=1e-9)


def test_intervals_hold_the_mean() -> None:
    values = np.random.default_rng(1).standard_normal(400)
    low, high = interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.2)


def test_poses_follow_the_nose() -> None:
    points = TEMPLATE.repeat(3, 1, 1)
    points[1:, 2, 0] += torch.tensor([0.05, 0.12])
    assert poses(points) == ["frontal", "turned", "profile"]


def test_the_enlarger_is_given_the_small_picture() -> None:
    """With weights of zero SRVGG enlarges by repetition, which resampling brings to any side."""
    model = Srvgg(4, 1, 4)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    given = degraded(faces(2, 32), 2)
    out = enlarger(model)(given)
    assert out.shape == given.enlarged.shape
    assert psnr(out, given.enlarged).min() > 20


def test_the_tables_have_their_rows() -> None:
    judge = Judge.of(faces(3, 32), None, None)
    levels = evaluate({"bicubic": bicubic, "again": bicubic}, judge)
    assert list(levels) == list(LEVELS)
    assert len(level_table(levels[2], None).splitlines()) == 4
    paired = paired_table(levels, "again").splitlines()
    assert len(paired) == 2 + len(LEVELS)
    assert "0.00 [0.00, 0.00]" in paired[2]


def test_kept_rows_are_not_computed_again(tmp_path: Path) -> None:
    judge = Judge.of(faces(2, 32), None, None)
    kept = {"bicubic": tmp_path / "rows.npz"}
    first = evaluate({"bicubic": bicubic}, judge, kept)

    def never(given: Degraded) -> torch.Tensor:
        raise AssertionError("the rows were there")

    again = evaluate({"bicubic": never}, judge, kept)
    for level in LEVELS:
        for name, values in first[level]["bicubic"].metrics.items():
            np.testing.assert_array_equal(again[level]["bicubic"].metrics[name], values)


def test_the_feature_network_learns() -> None:
    pictures = faces(6, 64)
    torch.manual_seed(1)
    network = train(pictures, 12, 1)
    fresh = train(pictures, 1, 1)
    after, before = (
        batch_loss(n, pictures, np.random.default_rng(5)).item() for n in (network, fresh)
    )
    assert after < before


def test_a_detector_is_a_feature_network(tmp_path: Path) -> None:
    """What it sees differs where the pictures do, and pulls the picture towards the other one."""
    torch.manual_seed(5)
    yunet.save_checkpoint(tmp_path / "detector.safetensors", yunet.YuNet(), {})
    network = load_features(tmp_path / "detector.safetensors")
    x = torch.rand(1, 3, 64, 64).requires_grad_(True)
    y = torch.rand(1, 3, 64, 64)
    shapes = [tuple(level.shape[2:]) for level in network.levels(x)]
    assert shapes == [(8, 8), (4, 4), (2, 2)] * 2
    feature_distance(network.levels(x), network.levels(y)).backward()
    assert x.grad is not None and x.grad.abs().max() > 0
    assert feature_distance(network.levels(y), network.levels(y)) == 0


def test_vgg16_is_read_from_keras(tmp_path: Path) -> None:
    """Each layer's kernel arrives in its place, and a bright spot reaches its level's pixel."""
    asked = []

    def read(path: str) -> np.ndarray:
        asked.append(path)
        block, layer = int(path[5]), path.split("/")[2]
        widths = (3, 64, 128, 256, 512)
        before = widths[block - 1] if layer == "conv2d" else widths[block]
        if path.endswith("/1"):
            return np.zeros(widths[block], np.float32)
        kernel = np.zeros((3, 3, before, widths[block]), np.float32)
        # Row 0: what is above a pixel goes to it.
        kernel[0, 1, 0, 0] = 1
        return kernel

    save_file(from_keras(read), tmp_path / "vgg16.safetensors", {"arch": "vgg16"})
    assert len(asked) == 20 and "block4/layers/conv2d_2/vars/1" in asked
    network = load_features(tmp_path / "vgg16.safetensors")
    x = torch.full((1, 3, 32, 32), -1.0)
    x[0, 2, 3, 5] = 1
    levels = network.levels(x)
    shapes = [tuple(level.shape[1:]) for level in levels]
    assert shapes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
    # Blue is first, its mean is taken away, and two convolutions each moved it down a row.
    assert levels[0][0, 0].nonzero().tolist() == [[5, 5]]
    assert levels[0].max().item() == pytest.approx(255 - 103.939, abs=1e-3)
