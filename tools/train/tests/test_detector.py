"""Small checks of the detector's data, losses and a resumed training run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pentimento_reference.yunet import YuNet, decode, load_checkpoint, priors, suppress

from pentimento_train.detection import Mosaic, Mosaics, Scene, assign, compose, detection_loss
from pentimento_train.train_detector import Schedule, Trainer

MOSAIC = Mosaic(
    64, (1, 2), (0.3, 0.8), 20.0, 0.2, (0.3, 1.0), (0.0, 5.0), (60, 90), covered=0.2
)
SCHEDULE = Schedule(
    batch=2,
    steps=4,
    minutes=10,
    learning_rate=1e-3,
    warmup_steps=2,
    ema_steps=10,
    clip_norm=10.0,
    weight_decay=0.0,
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
    for seed in range(20):
        scene = compose(scenes(), MOSAIC, np.random.default_rng(seed))
        assert scene.pixels.shape == (64, 64, 3)
        for face in scene.faces:
            points = face[4:].reshape(5, 2)
            centre = (face[:2] + face[2:4]) / 2
            size = (face[2:4] - face[:2]).max()
            assert np.abs(points.mean(axis=0) - centre).max() < 0.3 * size


def test_every_face_has_a_cell_and_its_targets_decode_to_it() -> None:
    scene = Scene(np.zeros((64, 64, 3), np.uint8), scenes()[0].faces, np.zeros((0, 4), np.float32))
    targets, prior = assign(scene, 64), priors(64, 64)
    assert 1 <= int(targets.positive.sum()) <= 16
    cells = torch.zeros(1, len(prior), 16)
    face, stride = targets.faces, prior[:, 2:]
    cells[0, :, :2] = torch.where(targets.positive, 20.0, -20.0)[:, None]
    cells[0, :, 2:4] = ((face[:, :2] + face[:, 2:4]) / 2 - prior[:, :2]) / stride
    cells[0, :, 4:6] = ((face[:, 2:4] - face[:, :2]).clamp(min=1) / stride).log()
    offsets = (face[:, 4:].unflatten(1, (5, 2)) - prior[:, None, :2]) / stride[:, None]
    cells[0, :, 6:] = offsets.flatten(1)
    batch = type(targets)(*(v[None] for v in (targets.faces, targets.positive, targets.counts)))
    loss, terms = detection_loss(cells, batch, prior)
    assert loss.item() == pytest.approx(0.0, abs=1e-3), terms
    scores, boxes, points = decode(cells[0], prior)
    found = scores > 0.5
    kept = suppress(boxes[found], scores[found])
    assert len(kept) == 1
    expected = torch.from_numpy(scene.faces[0])
    assert torch.allclose(boxes[found][kept[0]], expected[:4], atol=1e-3)
    assert torch.allclose(points[found][kept[0]].flatten(), expected[4:], atol=1e-3)


def test_a_resumed_run_is_an_uninterrupted_one(tmp_path: Path) -> None:
    def run(folder: Path, stops: list[int]) -> YuNet:
        for stop in stops:
            trainer = Trainer(MOSAIC, SCHEDULE, scenes(), folder)
            stream = iter(
                Mosaics(scenes(), MOSAIC, SCHEDULE.batch, SCHEDULE.seed, trainer.step * SCHEDULE.batch)
            )
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
