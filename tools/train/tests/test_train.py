"""Small checks of degradation, data, losses, metrics and one resumed training run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pentimento_reference.mmrbnet import load_checkpoint
from torch import Tensor

from pentimento_train.data import Pairs, face_files, load_faces
from pentimento_train.degradation import (
    DegradationConfig,
    blur,
    degrade,
    from_bytes,
    gaussian_kernel,
    to_bytes,
)
from pentimento_train.evaluate import LEVELS, evaluate, table
from pentimento_train.losses import LossConfig, focal_frequency, restoration_loss
from pentimento_train.make_samples import spread, write_png
from pentimento_train.metrics import psnr, ssim
from pentimento_train.train import RunConfig, Trainer

DEGRADATION = DegradationConfig((2.0, 4.0), (0.2, 0.5), (0.0, 5.0), (60, 90))
DEFAULT_RUN = Path(__file__).resolve().parents[1] / "mmrbnet-256.toml"
TINY_RUN = """
[model]
size = 16
latent_dim = 4
n_mlp = 0
mmrb_per_level = 1
upsample = "bilinear"
inject = "sft_half"
stem_unshuffle = 2
input_skip = true
[model.channels]
4 = 4
8 = 4
16 = 4
[model.mmrb]
mix = "concat"
slope = 0.2
fuse_activation = false
path_channels = 2
paths = [{ kernel = 3, dilation = 1, groups = 1 }]
[degradation]
factor = [1.5, 3.0]
blur_sigma_per_factor = [0.2, 0.5]
noise_sigma = [0.0, 5.0]
jpeg_quality = [60, 95]
[loss]
charbonnier = 1.0
multi_scale = 0.5
gradient = 0.5
frequency = 1.0
[schedule]
batch = 2
steps = STEPS
minutes = 10.0
learning_rate = 1e-3
equalised_learning_rate = 1e-3
warmup_steps = 2
ema_steps = 10
clip_norm = 1.0
seed = 1
log_every_steps = 1
evaluate_every_minutes = 10
evaluate_faces = 2
threads = 1
"""


def picture(seed: int, side: int) -> Tensor:
    """A smooth random picture, uint8 [3, side, side]."""
    coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic")
    return to_bytes(smooth[0])


def faces(count: int, side: int) -> Tensor:
    return torch.stack([picture(i, side) for i in range(count)])


def test_bytes_round_trip() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_bytes(from_bytes(values)), values)


def test_blur_is_the_direct_convolution() -> None:
    kernel = gaussian_kernel(1.5, 0.7, 0.4)
    assert kernel.sum().item() == pytest.approx(1.0, abs=1e-6)
    x = torch.randn(3, 20, 20)
    radius = kernel.shape[0] // 2
    padded = torch.nn.functional.pad(x[:, None], (radius,) * 4, mode="reflect")
    direct = torch.nn.functional.conv2d(padded, kernel.flip(0, 1)[None, None])[:, 0]
    torch.testing.assert_close(blur(x, kernel), direct, atol=1e-5, rtol=1e-5)


def test_degradation_follows_its_seed() -> None:
    x = from_bytes(picture(0, 32))
    first, again, other = (degrade(x, DEGRADATION, np.random.default_rng(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == x.shape
    assert torch.equal(from_bytes(to_bytes(first)), first)


def test_pairs_continue_where_they_stopped() -> None:
    whole = iter(Pairs(faces(3, 16), DEGRADATION, batch=2, seed=5, start=0))
    next(whole)
    want = next(whole)
    got = next(iter(Pairs(faces(3, 16), DEGRADATION, batch=2, seed=5, start=2)))
    assert all(torch.equal(a, b) for a, b in zip(want, got, strict=True))


def test_losses_vanish_only_for_equal_pictures() -> None:
    config = LossConfig(1.0, 1.0, 1.0, 1.0)
    x = torch.rand(2, 3, 16, 16)
    equal, _ = restoration_loss(x, x, config)
    assert equal.item() == pytest.approx(3e-3, rel=1e-3)
    different, terms = restoration_loss(x, x.flip(-1), config)
    assert different > 0.1
    assert all(v > 0 for v in terms.values())


def test_focal_frequency_weighs_a_lone_wave_fully() -> None:
    """One plane wave has one peak in the half spectrum; its weight is 1."""
    wave = torch.cos(2 * math.pi * torch.arange(16.0) / 16 * 3).expand(1, 1, 16, 16)
    energy = wave.square().sum() / 2 / (16 * 9)
    torch.testing.assert_close(focal_frequency(wave, torch.zeros_like(wave)), energy)


def test_metrics_on_known_values() -> None:
    x = faces(2, 32)
    assert torch.isinf(psnr(x, x)).all()
    torch.testing.assert_close(ssim(x, x), torch.ones(2, dtype=torch.float64))
    base = torch.full((1, 3, 16, 16), 100, dtype=torch.uint8)
    assert psnr(base, base + 5).item() == pytest.approx(20 * math.log10(255 / 5))
    flat = (2 * 100 * 105 + 6.5025) / (100**2 + 105**2 + 6.5025)
    assert ssim(base, base + 5).item() == pytest.approx(flat)


def test_pictures_are_read_in_name_order(tmp_path: Path) -> None:
    for name, seed in (("b", 1), ("a", 0)):
        write_png(picture(seed, 16), tmp_path / f"{name}.png")
    files = face_files(tmp_path)
    assert [f.stem for f in files] == ["a", "b"]
    assert torch.equal(load_faces(files, 16), faces(2, 16))
    assert load_faces(files, 8).shape == (2, 3, 8, 8)
    assert spread(files, 5) == [0, 1]


def test_the_default_run_reads() -> None:
    assert RunConfig.from_toml(DEFAULT_RUN).model.size == 256


def tiny_trainer(folder: Path, steps: int) -> Trainer:
    file = folder / "run.toml"
    file.write_text(TINY_RUN.replace("STEPS", str(steps)))
    return Trainer(RunConfig.from_toml(file), folder)


def test_training_resumes_and_exports(tmp_path: Path) -> None:
    tiny_trainer(tmp_path, 2).train(faces(3, 16), faces(2, 16))
    resumed = tiny_trainer(tmp_path, 4)
    assert resumed.step == 2
    resumed.train(faces(3, 16), faces(2, 16))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4]
    model = load_checkpoint(tmp_path / "model.safetensors")
    scores = evaluate(model, faces(2, 16))
    assert [s.level for s in scores] == list(LEVELS)
    assert all(math.isfinite(s.restored_psnr) for s in scores)
    assert len(table(scores).splitlines()) == 2 + len(LEVELS)
