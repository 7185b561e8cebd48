"""The recognition network, its file, its chips, and the identity term."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from faces import faces, source
from runs import TINY, only
from safetensors.torch import save_file

from pentimento_train.alignment import TEMPLATE, warp, warp_points
from pentimento_train.data import Batch
from pentimento_train.identity import identity_distance, views
from pentimento_train.recognition import (
    ARCH,
    CHIP,
    EYES,
    Block,
    Recognition,
    chips,
    from_dlib,
    load_recognition,
)
from pentimento_train.run_config import RunConfig
from pentimento_train.train import Trainer


def integer(value: int) -> bytes:
    """As dlib writes one: sign and length, then the magnitude."""
    magnitude = abs(value).to_bytes((abs(value).bit_length() + 7) // 8 or 1, "little")
    return bytes([len(magnitude) | (0x80 if value < 0 else 0)]) + magnitude


def tensor(values: torch.Tensor) -> bytes:
    sides = b"".join(integer(n) for n in (2, values.numel(), 1, 1, 1))
    return sides + struct.pack(f"<{values.numel()}f", *values.flatten().tolist())


def layer(name: str) -> bytes:
    return bytes([1, len(name)]) + name.encode()


def written(network: Recognition, scale: float, shift: float) -> bytes:
    """A file in dlib's form: behind each convolution an affine layer of this scale and shift."""
    parts = [layer("input_rgb_image_sized"), integer(-3)]
    convolutions = [network.stem]
    for block in network.blocks:
        convolutions += [block.first, block.second]
    for conv in convolutions:
        width = conv.out_channels
        values = torch.cat([conv.weight.flatten(), conv.bias])
        affine = torch.cat([torch.full((width,), scale), torch.full((width,), shift)])
        parts += [layer("con_4"), tensor(values), integer(width), layer("relu_")]
        parts += [layer("affine_"), tensor(affine)]
    weight = network.embedding.weight.T
    parts += [layer("fc_2"), integer(128), integer(256), tensor(weight)]
    return b"".join(parts)


def test_dlibs_file_is_read_and_the_affine_layers_are_folded() -> None:
    torch.manual_seed(1)
    network = Recognition()
    data = written(network, 0.5, 0.25)
    tensors = from_dlib(data)
    assert set(tensors) == set(network.state_dict())
    stem = network.stem
    torch.testing.assert_close(tensors["stem.weight"], 0.5 * stem.weight.data)
    torch.testing.assert_close(tensors["stem.bias"], 0.5 * stem.bias.data + 0.25)
    torch.testing.assert_close(tensors["embedding.weight"], network.embedding.weight.data)
    with pytest.raises(SystemExit, match="ends within a value"):
        from_dlib(data[:-9])
    with pytest.raises(SystemExit, match="no layer con_4 follows"):
        from_dlib(b"\0" * 100)
    other = data.replace(integer(2) + integer(32 * 3 * 49 + 32), integer(2) + integer(7), 1)
    with pytest.raises(SystemExit, match="stem has 7 values, not 4736"):
        from_dlib(other)


def test_a_huge_tensor_is_refused_before_it_is_read() -> None:
    data = layer("con_4") + integer(2) + integer(1 << 40) + integer(1) * 3
    with pytest.raises(SystemExit, match="cannot be read"):
        from_dlib(data)


def test_a_halving_block_pads_the_smaller_sum_with_zeros() -> None:
    """4×4 becomes 1×1 by the convolution and 2×2 by the mean: dlib adds them where both are."""
    torch.manual_seed(2)
    block = Block(3, 5, halves=True)
    x = torch.randn(2, 3, 4, 4)
    out = block(x)
    assert out.shape == (2, 5, 2, 2)
    mean = x.unflatten(3, (2, 2)).unflatten(2, (2, 2)).mean((3, 5))
    one = block.second(torch.relu(block.first(x)))
    assert one.shape[2:] == (1, 1)
    wanted = torch.zeros(2, 5, 2, 2)
    wanted[:, :3] += mean
    wanted[:, :, :1, :1] += one
    torch.testing.assert_close(out, wanted.relu())


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "recognition.safetensors"
    save_file(Recognition().state_dict(), file, {"arch": ARCH})
    assert not any(p.requires_grad for p in load_recognition(file).parameters())
    save_file(Recognition().state_dict(), file, {"arch": "yunet"})
    with pytest.raises(SystemExit, match="`arch` is 'yunet'"):
        load_recognition(file)


def test_chips_follow_the_landmarks() -> None:
    """The eyes are where dlib wants them, and a moved face gives the chip of the face."""
    torch.testing.assert_close(CHIP[:2], torch.tensor(EYES), atol=1e-3, rtol=0)
    picture = faces(1, 96)[0].float() / 127.5 - 1
    matrix = torch.tensor([[0.95, -0.1, 0.05], [0.1, 0.95, -0.04]])
    moved, points = warp(picture, matrix), warp_points(TEMPLATE, matrix)
    both = chips(torch.stack([picture, moved]), torch.stack([TEMPLATE, points]), torch.eye(3)[None])
    assert both.shape == (2, 3, 150, 150)
    assert (both[0] - both[1])[:, 15:-15, 15:-15].abs().mean() < 0.02
    dot = torch.zeros(1, 3, 256, 256)
    x, y = (TEMPLATE[0] * 256).round().long().tolist()
    dot[:, :, y - 1 : y + 2, x - 1 : x + 2] = 1
    row, column = divmod(int(chips(dot, TEMPLATE[None])[0, 0].argmax()), 150)
    assert abs(column - EYES[0][0] * 150) < 2 and abs(row - EYES[0][1] * 150) < 2


def test_views_are_near_the_chip_and_half_are_mirrored() -> None:
    moved = views(400, torch.Generator().manual_seed(3))
    determinant = torch.linalg.det(moved[:, :2, :2])
    assert 0.4 < (determinant < 0).float().mean() < 0.6
    assert (determinant.abs().sqrt().log().std() - 0.06).abs() < 0.01
    assert moved[:, :2, 2].abs().max() < 0.3


def test_the_distance_falls_as_the_picture_nears_the_face() -> None:
    torch.manual_seed(4)
    network = Recognition().requires_grad_(False)
    target = faces(3, 64).float() / 127.5 - 1
    batch = Batch(target, target, TEMPLATE.repeat(3, 1, 1))

    def distance(x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        random = torch.Generator().manual_seed(5)
        return identity_distance(network, x, batch, weight, random)

    far = (target.flip(0)).requires_grad_()
    value = distance(far)
    assert distance(target).item() == pytest.approx(1e-3, rel=0.01)
    assert distance(target + 0.02 * (far - target)).item() < value.item()
    value.backward()
    assert far.grad is not None and far.grad.abs().max() > 0
    none = distance(target.flip(0), torch.zeros(3))
    assert none.item() == 0


def test_a_run_with_the_term_lowers_it_and_needs_its_network(tmp_path: Path) -> None:
    config = only(RunConfig.from_toml(TINY), "restoration")
    assert config.restoration is not None
    loss = {"charbonnier": 0.1, "identity": 1.0}
    schedule = replace(config.restoration.schedule, steps=12)
    restoration = replace(
        config.restoration, loss=loss, balanced=False, critics=None, schedule=schedule
    )
    config = replace(config, restoration=restoration)
    pictures = source(4, config)
    with pytest.raises(SystemExit, match="--identity"):
        Trainer(config, tmp_path / "none").train(pictures, faces(2, 16))
    torch.manual_seed(6)
    network = Recognition().requires_grad_(False).eval()
    (tmp_path / "run").mkdir()
    trainer = Trainer(config, tmp_path / "run", recognition=network)
    trainer.train(pictures, faces(2, 16))
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    values = [v["identity"] for v in map(json.loads, lines) if "identity" in v]
    assert len(values) == 12
    assert sum(values[-4:]) < sum(values[:4])
