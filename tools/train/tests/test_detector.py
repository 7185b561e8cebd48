"""Small checks of the detector's data, losses and a resumed training run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pentimento_reference.yunet import YuNet, decode, load_checkpoint, priors, suppress

pytest.importorskip("cv2", reason="the mosaics need OpenCV")

from pentimento_train.detection import STRIDES, Array, Targets, assign, detection_loss
from pentimento_train.mosaic import Composer, Mosaic, Mosaics
from pentimento_train.scenes import Scene, draw, moved
from pentimento_train.train_detector import Schedule, Trainer

MOSAIC = Mosaic(
    sides=(64, 96),
    pixels=2 * 64 * 64,
    cells=(1, 2),
    smallest_cell=32,
    scale=(0.3, 0.8),
    rotation=20.0,
    upside=0.2,
    cut_out=0.3,
    empty=0.1,
    covered=0.2,
    shrunk=0.3,
    backdrops=4,
    noise_sigma=(0.0, 5.0),
    jpeg_quality=(60, 90),
)
SCHEDULE = Schedule(
    steps=4,
    minutes=10,
    learning_rate=1e-3,
    warmup_steps=2,
    ema_steps=10,
    clip_norm=10.0,
    weight_decay=0.0,
    exact_from=0.5,
    seed=3,
    log_every_steps=1,
    evaluate_every_minutes=10,
    threads=1,
)


def scenes(count: int = 3) -> list[Scene]:
    """Noise with a face of 30 pixels in the middle."""
    rng = np.random.default_rng(0)
    points = [35, 40, 55, 40, 45, 50, 38, 58, 52, 58]
    face = np.array([[30, 30, 60, 65, *points]], np.float32)
    pixels = [rng.integers(0, 256, (90, 100, 3), dtype=np.uint8) for _ in range(count)]
    return [Scene(p, face, np.zeros((0, 4), np.float32)) for p in pixels]


def test_faces_of_a_mosaic_lie_where_their_landmarks_are() -> None:
    composer = Composer(scenes(), MOSAIC, np.random.default_rng(0))
    for seed in range(20):
        scene = composer.compose(64, np.random.default_rng(seed))
        assert scene.pixels.shape == (64, 64, 3)
        for face in scene.faces:
            points = face[4:].reshape(5, 2)
            centre = (face[:2] + face[2:4]) / 2
            size = (face[2:4] - face[:2]).max()
            assert np.abs(points.mean(axis=0) - centre).max() < 0.3 * size


@pytest.mark.parametrize("shrunk", [False, True])
def test_pixels_and_points_move_alike(shrunk: bool) -> None:
    pixels = np.zeros((96, 96, 3), np.uint8)
    pixels[32:40, 56:64] = 255
    halves = (pixels.reshape(48, 2, 48, 2, 3).mean(axis=(1, 3)).astype(np.uint8),)
    none = np.zeros((0, 14), np.float32)
    scene = Scene(pixels, none, none[:, :4], halves)
    scale = 0.4 if shrunk else 1.1
    matrix = np.array([[0, -scale, 70], [scale, 0, 5]], np.float32)
    canvas = np.zeros((100, 100, 3), np.uint8)
    draw(scene, matrix, canvas)
    light = canvas[..., 0].astype(float)
    y, x = (np.arange(100) + 0.5 for _ in range(2))
    centre = [(light.sum(axis=0) @ x) / light.sum(), (light.sum(axis=1) @ y) / light.sum()]
    assert np.allclose(centre, moved(np.array([60.0, 36.0]), matrix), atol=0.1)


def one_face(size: float, side: int) -> Array:
    """The face of `scenes`, scaled and in the middle."""
    face = scenes(1)[0].faces[0].reshape(7, 2)
    middle = face[:2].mean(axis=0)
    return ((face - middle) * size / 35 + side / 2).reshape(1, 14).astype(np.float32)


@pytest.mark.parametrize("size", [10, 24, 60, 110, 180])
def test_every_face_has_a_cell_and_its_targets_decode_to_it(size: float) -> None:
    faces = one_face(size, 192)
    targets, prior = assign(faces, np.zeros((0, 4), np.float32), 192), priors(192, 192)
    strides = set(prior[targets.positive, 2].tolist())
    assert strides and max(strides) / min(strides) <= 2
    assert 1 <= int(targets.positive.sum()) <= 32
    cells = torch.zeros(1, len(prior), 16)
    face, stride = targets.faces, prior[:, 2:]
    cells[0, :, :2] = torch.where(targets.positive, 20.0, -20.0)[:, None]
    cells[0, :, 2:4] = ((face[:, :2] + face[:, 2:4]) / 2 - prior[:, :2]) / stride
    cells[0, :, 4:6] = ((face[:, 2:4] - face[:, :2]).clamp(min=1) / stride).log()
    offsets = (face[:, 4:].unflatten(1, (5, 2)) - prior[:, None, :2]) / stride[:, None]
    cells[0, :, 6:] = offsets.flatten(1)
    loss, terms = detection_loss(cells, Targets(*(part[None] for part in targets)), prior)
    assert loss.item() == pytest.approx(0.0, abs=1e-3), terms
    scores, boxes, points = decode(cells[0], prior)
    found = scores > 0.5
    kept = suppress(boxes[found], scores[found])
    assert len(kept) == 1
    expected = torch.from_numpy(faces[0])
    assert torch.allclose(boxes[found][kept[0]], expected[:4], atol=1e-3)
    assert torch.allclose(points[found][kept[0]].flatten(), expected[4:], atol=1e-3)


def test_doubtful_boxes_do_not_count_and_faces_do() -> None:
    faces, prior = one_face(40, 192), priors(192, 192)
    doubtful = np.array([[0, 0, 192, 192]], np.float32)
    targets = assign(faces, doubtful, 192)
    inside = (prior[:, :2] > 0).all(dim=1)
    assert torch.equal(targets.counts[inside], targets.positive[inside])
    assert targets.positive.any()


def test_the_levels_weigh_the_same() -> None:
    faces = np.concatenate([one_face(20, 192), one_face(150, 192)])
    targets = assign(faces, np.zeros((0, 4), np.float32), 192)
    prior = priors(192, 192)
    batch = Targets(*(part[None] for part in targets))
    cells = torch.zeros(1, len(prior), 16, requires_grad=True)
    detection_loss(cells, batch, prior)[0].backward()
    pull = cells.grad[0, :, 0].abs()
    sums = [float(pull[(prior[:, 2] == stride)].sum()) for stride in STRIDES]
    assert sums[0] > 0 and sums[2] > 0 and 0.3 < sums[0] / sums[2] < 3


def test_a_resumed_run_is_an_uninterrupted_one(tmp_path: Path) -> None:
    def run(folder: Path, stops: list[int]) -> YuNet:
        for stop in stops:
            trainer = Trainer(MOSAIC, SCHEDULE, scenes(), folder)
            stream = iter(Mosaics(scenes(), MOSAIC, SCHEDULE.seed, trainer.step))
            while trainer.step < stop:
                terms = trainer.train_step(*next(stream))
                assert np.isfinite(terms["loss"])
            trainer.save()
            trainer.export()
        return load_checkpoint(folder / "model.safetensors")

    folders = [tmp_path / name for name in ("once", "twice")]
    for folder in folders:
        folder.mkdir()
    once, twice = run(folders[0], [4]), run(folders[1], [2, 4])
    for name, value in once.state_dict().items():
        other = twice.state_dict()[name]
        assert torch.allclose(value.float(), other.float(), atol=1e-3), name
