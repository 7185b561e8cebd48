"""Degradations, alignment and the stream of pairs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from faces import faces, picture, source

from pentimento_train.alignment import (
    TEMPLATE,
    Jitter,
    components,
    mirror_points,
    warp,
    warp_points,
)
from pentimento_train.blur import blur, defocus_kernel, gaussian_kernel, motion_kernel
from pentimento_train.data import Pairs, Repetition, face_files, load_faces
from pentimento_train.degradation import (
    degrade,
    degrade_small,
    from_bytes,
    jpeg,
    noisy,
    to_bytes,
)
from pentimento_train.levels import LEVELS, degraded, level_config
from pentimento_train.make_samples import spread, write_png
from pentimento_train.metrics import psnr
from pentimento_train.run_config import RunConfig

CONFIG = RunConfig.from_toml(Path(__file__).with_name("tiny.toml"))


def test_bytes_round_trip() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_bytes(from_bytes(values)), values)


def test_blur_is_the_direct_convolution() -> None:
    kernel = gaussian_kernel(1.5, 0.7, 0.4)
    x = torch.randn(3, 20, 20)
    radius = kernel.shape[0] // 2
    padded = torch.nn.functional.pad(x[:, None], (radius,) * 4, mode="reflect")
    direct = torch.nn.functional.conv2d(padded, kernel.flip(0, 1)[None, None])[:, 0]
    torch.testing.assert_close(blur(x, kernel), direct, atol=1e-5, rtol=1e-5)


def test_kernels_keep_the_light_and_have_their_widths() -> None:
    """A uniform segment of length l has variance l²/12 along it, a disc r²/4 per axis."""
    motion, disc, gauss = motion_kernel(9.0, 0.0), defocus_kernel(4.0), gaussian_kernel(2, 2, 0)
    wanted = {0: 81 / 12, 1: 4.0, 2: 4.0}
    for i, kernel in enumerate((motion, disc, gauss)):
        assert kernel.sum().item() == pytest.approx(1, abs=1e-6)
        radius = kernel.shape[0] // 2
        axis = torch.arange(-radius, radius + 1.0)
        variance = (kernel.sum(0) * axis.square()).sum().item()
        assert variance == pytest.approx(wanted[i], rel=0.15)
    assert motion_kernel(9.0, math.pi / 2).T == pytest.approx(motion, abs=1e-5)


def test_a_kernel_wider_than_the_picture_still_blurs() -> None:
    assert blur(torch.ones(3, 4, 4), defocus_kernel(9.0)) == pytest.approx(1.0, abs=1e-5)


def test_degradation_follows_its_seed() -> None:
    x = from_bytes(picture(0, 32))
    first, again, other = (
        degrade(x, CONFIG.degradation, np.random.default_rng(s)) for s in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == x.shape
    assert torch.equal(from_bytes(to_bytes(first)), first)


def test_every_kind_of_damage_survives_many_seeds() -> None:
    x = from_bytes(picture(0, 32))
    for kind in range(5):
        blurs = tuple(float(i == kind) for i in range(4))
        config = replace(
            CONFIG.degradation, blurs=blurs, second_order=1.0, fade=1.0, poisson=kind % 2
        )
        for seed in range(8):
            small = degrade_small(x, config, np.random.default_rng(seed))
            assert torch.isfinite(small).all()
            assert 10 <= small.shape[-1] <= 25


@pytest.mark.parametrize("poisson", [0.0, 1.0])
@pytest.mark.parametrize("same", [0.0, 1.0])
def test_noise_has_its_strength_and_its_colour(poisson: float, same: float) -> None:
    config = replace(CONFIG.degradation, poisson=poisson, same_noise=same)
    strength = replace(config.mild, noise_sigma=(10, 10), poisson_sigma=(10, 10))
    white = torch.ones(3, 128, 128)
    noise = noisy(white, strength, config, np.random.default_rng(1)) - white
    assert noise.std().item() * 127.5 == pytest.approx(10, rel=0.05)
    alike = torch.corrcoef(noise.flatten(1))[0, 1].item()
    assert alike == pytest.approx(same, abs=0.05)


def test_files_lose_more_at_lower_quality() -> None:
    x = from_bytes(picture(0, 64))
    for form in ("JPEG", "WEBP"):
        fine, coarse = ((jpeg(x, q, form) - x).square().mean() for q in (95, 20))
        assert 0 < fine < coarse


def test_levels_grow_worse() -> None:
    originals = faces(3, 64)
    scores = [psnr(degraded(originals, level).enlarged, originals).mean() for level in LEVELS]
    assert scores[0] > scores[1] > scores[2]
    assert degraded(originals, 4).small.shape == (3, 3, 16, 16)
    assert torch.equal(degraded(originals, 8, [1]).small[0], degraded(originals, 8).small[1])
    assert [level_config(level).strength for level in LEVELS] == [(0, 0), (0.5, 0.5), (1, 1)]


def test_points_move_with_the_picture() -> None:
    """A bright spot and its coordinates end up at the same place."""
    spot = torch.full((3, 64, 64), -1.0)
    spot[:, 20:23, 40:43] = 1
    point = torch.tensor([[41.5 / 64, 21.5 / 64]])
    matrix = Jitter(1.0, 20.0, 0.1, 0.02).draw(np.random.default_rng(2))
    assert matrix is not None
    moved, at = warp(spot, matrix)[0], warp_points(point, matrix)[0]
    weight = (moved + 1).clamp(min=0)
    grid = (torch.arange(64) + 0.5) / 64
    assert (weight.sum(0) * grid).sum() / weight.sum() == pytest.approx(at[0].item(), abs=0.01)
    assert (weight.sum(1) * grid).sum() / weight.sum() == pytest.approx(at[1].item(), abs=0.01)


def test_mirrored_landmarks_keep_their_order() -> None:
    mirrored = mirror_points(TEMPLATE)
    assert mirrored[0, 0] < mirrored[1, 0] and mirrored[3, 0] < mirrored[4, 0]
    torch.testing.assert_close(mirror_points(mirrored), TEMPLATE)


def test_components_are_cut_at_the_landmarks() -> None:
    x = torch.zeros(1, 3, 64, 64)
    x[0, :, int(TEMPLATE[3, 1] * 64), int(TEMPLATE[3, 0] * 64) : int(TEMPLATE[4, 0] * 64)] = 1
    parts = components(x, TEMPLATE[None])
    assert parts["eyes"].shape == (2, 3, 16, 16)
    assert parts["mouth"].shape == (1, 3, 16, 16)
    assert parts["eyes"].abs().max() < 1e-6 < parts["mouth"].max()


def test_pairs_continue_where_they_stopped() -> None:
    whole = iter(Pairs(source(3, CONFIG), batch=2, seed=5, start=0))
    next(whole)
    want = next(whole)
    got = next(iter(Pairs(source(3, CONFIG), batch=2, seed=5, start=2)))
    assert torch.equal(want.degraded, got.degraded)
    assert torch.equal(want.target, got.target)
    assert torch.equal(want.landmarks, got.landmarks)


def test_an_epoch_shows_a_repeated_face_as_often_as_it_says(tmp_path: Path) -> None:
    rare = tmp_path / "rare.txt"
    rare.write_text("# remark\nb.png\n\nc.jpg  # why\n")
    files = [Path(n) for n in ("a.jpg", "b.png", "c.jpg", "d.jpg")]
    repeated = Repetition(rare, times=3).places(files)
    faces = replace(source(4, CONFIG), repeated=repeated)
    assert len(faces) == 8
    for epoch in range(3):
        assert sorted(faces.shown(epoch, i, 5) for i in range(8)) == [0, 1, 1, 1, 2, 2, 2, 3]
    with pytest.raises(SystemExit, match="names c.jpg, which is not among the faces"):
        Repetition(rare, times=3).places(files[:2])


def test_without_degradation_faces_come_as_they_are() -> None:
    still = replace(source(3, CONFIG), jitter=Jitter(0, 0, 0, 0), degradation=None)
    batch = next(iter(Pairs(still, batch=3, seed=5, start=0)))
    assert torch.equal(batch.degraded, batch.target)
    known = {tuple(v.flatten().tolist()) for f in still.faces for v in (f, f.flip(-1))}
    assert all(tuple(to_bytes(x).flatten().tolist()) in known for x in batch.target)


def test_pictures_are_read_in_name_order(tmp_path: Path) -> None:
    for name, seed in (("b", 1), ("a", 0)):
        write_png(picture(seed, 16), tmp_path / f"{name}.png")
    files = face_files(tmp_path)
    assert [f.stem for f in files] == ["a", "b"]
    assert torch.equal(load_faces(files, 16), faces(2, 16))
    assert load_faces(files, 8).shape == (2, 3, 8, 8)
    assert spread(files, 5) == [0, 1]
