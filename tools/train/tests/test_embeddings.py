"""The second embedding's file, identity columns of the tables, and over-fitting as a number."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from faces import faces

from pentimento_train.evaluate import Judge, Rows, bicubic, evaluate, level_table, paired_table
from pentimento_train.graph_model import FaceRes, GraphModel
from pentimento_train.levels import LEVELS, Degraded
from pentimento_train.overfitting import gap, gap_table
from pentimento_train.recognition import Recognition


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


def convolution(name: str, op: str, inputs: list[str], stride: int, padding: str) -> dict[str, Any]:
    strides = {"list": {"i": ["1", str(stride), str(stride), "1"]}}
    attributes = {"strides": strides, "padding": text(padding)}
    return {"name": name, "op": op, "input": inputs, "attr": attributes}


def written(folder: Path, values: dict[str, np.ndarray], nodes: list[dict[str, Any]]) -> Path:
    """A graph model; `half` is stored in float16, as the converter's quantisation does."""
    weights, data = [], b""
    for name, value in values.items():
        weight: dict[str, Any] = {"name": name, "shape": list(value.shape), "dtype": "float32"}
        if name == "half":
            weight["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
            value = value.astype(np.float16)
        weights.append(weight)
        data += value.tobytes()
    constants = [{"name": name, "op": "Const"} for name in values]
    source = {
        "modelTopology": {"node": constants + nodes},
        "weightsManifest": [{"weights": weights}],
    }
    file = folder / "faceres.json"
    file.write_text(json.dumps(source))
    file.with_suffix(".bin").write_bytes(data)
    return file


def graph(folder: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """A strided convolution, a bias by channel, a ReLU up to 6, a depthwise convolution, a mean."""
    rng = np.random.default_rng(1)
    values = {
        "first": rng.normal(0, 0.02, (3, 3, 3, 4)).astype(np.float32),
        "bias": rng.normal(0, 1, 4).astype(np.float32),
        "six": np.array(6, np.float32),
        "half": rng.normal(0, 0.5, (3, 3, 4, 1)).astype(np.float32),
    }
    nodes = [
        {"name": "input", "op": "Placeholder"},
        convolution("a", "Conv2D", ["input", "first"], 2, "SAME"),
        {"name": "b", "op": "Add", "input": ["a", "bias"]},
        {"name": "c", "op": "Relu", "input": ["b"]},
        {"name": "d", "op": "Minimum", "input": ["c", "six"]},
        convolution("e", "DepthwiseConv2dNative", ["d", "half"], 1, "VALID"),
        {"name": "global_pooling/Mean", "op": "Mean", "input": ["e:0"]},
        {"name": "beyond", "op": "Softmax", "input": ["global_pooling/Mean"]},
    ]
    return written(folder, values, nodes), values


def test_a_graph_computes_what_its_operations_say(tmp_path: Path) -> None:
    file, values = graph(tmp_path)
    x = 50 * torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    first = torch.from_numpy(values["first"]).permute(3, 2, 0, 1)
    half = torch.from_numpy(values["half"].astype(np.float16).astype(np.float32))
    # An even side at a stride of 2 needs one row more, which TensorFlow puts behind.
    y = F.conv2d(F.pad(x, (0, 1, 0, 1)), first, torch.from_numpy(values["bias"]), stride=2)
    y = F.conv2d(y.clamp(0, 6), half.permute(2, 3, 0, 1), groups=4).mean((2, 3))
    torch.testing.assert_close(GraphModel(file, "global_pooling/Mean")(x), y)
    embedding = FaceRes(file)(faces(2, 64).float() / 127.5 - 1)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2))


def test_files_that_are_not_whole_or_of_another_kind_are_refused(tmp_path: Path) -> None:
    file, _ = graph(tmp_path)
    with pytest.raises(SystemExit, match="operations that are not FaceRes's: .'Softmax'."):
        GraphModel(file, "beyond")
    with pytest.raises(SystemExit, match="has no node other"):
        GraphModel(file, "other")
    data = file.with_suffix(".bin")
    data.write_bytes(data.read_bytes()[:-3])
    with pytest.raises(SystemExit, match="ends within half"):
        FaceRes(file)


def perfect(originals: torch.Tensor) -> Any:
    """All but the last bit of a corner, so that PSNR is finite."""
    almost = originals.clone()
    almost[:, :, 0, 0] ^= 1
    return lambda given: almost


def test_tables_have_columns_of_identity(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = Recognition().requires_grad_(False).eval()
    second = FaceRes(graph(tmp_path)[0])
    originals = faces(3, 32)
    judge = Judge.of(originals, None, None, network, second)

    def half(given: Degraded) -> torch.Tensor:
        return ((given.enlarged.int() + originals.int()) // 2).byte()

    rows = evaluate({"bicubic": bicubic, "half": half, "perfect": perfect(originals)}, judge)
    for level in LEVELS:
        for name in ("identity", "second"):
            far, near, none = (rows[level][k].metrics[name] for k in ("bicubic", "half", "perfect"))
            assert far.shape == (3,)
            assert none.mean() < 0.05 * near.mean() and far.mean() > near.mean() > none.mean()
    head = level_table(rows[4], None).splitlines()[0]
    assert head.endswith("| frequency | identity | second |")
    paired = paired_table(rows, "perfect")
    assert "| landmarks % | identity | second |" in paired
    gain = rows[8]["bicubic"].metrics["identity"].mean()
    assert f"{gain:.3f} [" in next(x for x in paired.splitlines() if x.startswith("| ×8 | bicubic"))
    plain = evaluate({"bicubic": bicubic}, Judge.of(originals, None, None))
    assert "identity" not in level_table(plain[4], None)


def test_the_gap_is_the_difference_of_the_gains() -> None:
    rng = np.random.default_rng(3)
    trained_on, held_out = rng.normal(0.15, 0.05, 200), rng.normal(0.1, 0.05, 100)
    whole, low, high = gap(trained_on, held_out)
    assert whole == pytest.approx(trained_on.mean() - held_out.mean())
    assert low < whole < high and 0.015 < high - low < 0.04

    def rows(gains: np.ndarray) -> dict[str, Rows]:
        bad = {"identity": np.full(len(gains), 0.6)}
        return {"bicubic": Rows(bad, None), "new": Rows({"identity": 0.6 - gains}, None)}

    table = gap_table(rows(trained_on), rows(held_out), ["new"]).splitlines()
    assert len(table) == 3
    assert table[2].startswith(
        f"| new | identity | {trained_on.mean():.3f} | {held_out.mean():.3f} |"
    )
