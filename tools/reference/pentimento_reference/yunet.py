"""YuNet: a face detector of 75,856 weights with boxes and five landmarks.

Wu et al., "YuNet: A Tiny Millisecond-level Face Detector" (2023). Tensor names are those of the
published checkpoints.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

STRIDES = (8, 16, 32)
_WIDTH = 64
_POOLED = (0, 2, 3, 4)
"""Stages whose output is halved by a maximum before the next one."""
_OUT = (3, 4, 5)
"""Stages whose outputs have the strides of STRIDES."""


class Separable(nn.Module):
    """1×1 convolution, depthwise 3×3 convolution; with `activate`, batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, activate: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs)
        self.bn = nn.BatchNorm2d(outputs) if activate else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.conv1(x))
        return x if self.bn is None else F.relu(self.bn(x))


class Head(nn.Module):
    """The first stage: a strided 3×3 convolution and a separable one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Separable(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.bn1(self.conv1(x))))


class Stage(nn.Module):
    """Two separable convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = Separable(inputs, inputs)
        self.conv2 = Separable(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class Backbone(nn.Module):
    """[N, 3, H, W] → features of strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.model0 = Head(16)
        self.model1 = Stage(16, _WIDTH)
        for i in range(2, 6):
            setattr(self, f"model{i}", Stage(_WIDTH, _WIDTH))

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for i in range(6):
            x = getattr(self, f"model{i}")(x)
            if i in _OUT:
                features.append(x)
            if i in _POOLED:
                x = F.max_pool2d(x, 2)
        return features


class Neck(nn.Module):
    """Each level adds the next coarser one, doubled."""

    def __init__(self) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(Separable(_WIDTH, _WIDTH) for _ in STRIDES)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        out = list(features)
        for i in range(len(out) - 1, 0, -1):
            out[i] = self.lateral_convs[i](out[i])
            out[i - 1] = out[i - 1] + F.interpolate(out[i], scale_factor=2.0, mode="nearest")
        out[0] = self.lateral_convs[0](out[0])
        return out


class BoxHead(nn.Module):
    """Per level and cell: class and object logits, box, landmarks."""

    def __init__(self) -> None:
        super().__init__()

        def per_level(channels: int) -> nn.ModuleList:
            return nn.ModuleList(Separable(_WIDTH, channels, activate=False) for _ in STRIDES)

        self.multi_level_share_convs = nn.ModuleList(
            nn.Sequential(Separable(_WIDTH, _WIDTH)) for _ in STRIDES
        )
        self.multi_level_cls = per_level(1)
        self.multi_level_bbox = per_level(4)
        self.multi_level_obj = per_level(1)
        self.multi_level_kps = per_level(10)

    def forward(self, features: list[Tensor]) -> Tensor:
        cells = []
        for i, feature in enumerate(features):
            x = self.multi_level_share_convs[i](feature)
            kinds = (
                self.multi_level_cls,
                self.multi_level_obj,
                self.multi_level_bbox,
                self.multi_level_kps,
            )
            cells.append(torch.cat([kind[i](x) for kind in kinds], dim=1).flatten(2))
        return torch.cat(cells, dim=2).transpose(1, 2)


class YuNet(nn.Module):
    """[N, 3, H, W], BGR in 0..255, sides multiples of 32 → [N, cells, 16].

    A cell holds the class logit, the object logit, the box (centre offset and logarithm of the
    size, in strides) and five landmarks (offsets in strides); levels follow each other, rows
    within a level.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.neck = Neck()
        self.bbox_head = BoxHead()

    def forward(self, x: Tensor) -> Tensor:
        return self.bbox_head(self.neck(self.backbone(x)))


def priors(height: int, width: int) -> Tensor:
    """[cells, 3]: x and y of the cell's upper left corner in pixels, and its stride."""
    levels = []
    for stride in STRIDES:
        y, x = torch.meshgrid(
            torch.arange(height // stride), torch.arange(width // stride), indexing="ij"
        )
        cells = torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(-1, 3)
        levels.append(cells.float() * stride)
    return torch.cat(levels)


def decode(cells: Tensor, prior: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores [..., cells], boxes [..., cells, 4] (corners) and landmarks [..., cells, 5, 2]."""
    stride = prior[:, 2:]
    scores = torch.sigmoid(cells[..., 0]) * torch.sigmoid(cells[..., 1])
    centre = cells[..., 2:4] * stride + prior[:, :2]
    size = torch.exp(cells[..., 4:6]) * stride
    boxes = torch.cat([centre - size / 2, centre + size / 2], dim=-1)
    points = cells[..., 6:].unflatten(-1, (5, 2)) * stride[:, None] + prior[:, None, :2]
    return scores, boxes, points


def suppress(boxes: Tensor, scores: Tensor, limit: float = 0.45) -> list[int]:
    """Indices of the boxes that no better box overlaps by more than `limit`, the best first."""
    order = scores.argsort(descending=True).tolist()
    area = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1)
    kept: list[int] = []
    for i in order:
        if kept:
            others = boxes[kept]
            low = torch.maximum(boxes[i, :2], others[:, :2])
            high = torch.minimum(boxes[i, 2:], others[:, 2:])
            both = (high - low).clamp(min=0).prod(dim=1)
            if (both / (area[i] + area[kept] - both)).max() > limit:
                continue
        kept.append(i)
    return kept


@torch.no_grad()
def detect(model: YuNet, rgb: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """Faces in uint8 [3, H, W]: scores [F], boxes [F, 4], landmarks [F, 5, 2], the best first."""
    height, width = rgb.shape[1:]
    padded = F.pad(rgb.flip(0).float()[None], (0, -width % 32, 0, -height % 32))
    prior = priors(padded.shape[2], padded.shape[3])
    scores, boxes, points = decode(model(padded)[0], prior)
    chosen = scores > threshold
    scores, boxes, points = scores[chosen], boxes[chosen], points[chosen]
    kept = suppress(boxes, scores)
    return scores[kept], boxes[kept], points[kept]


def save_checkpoint(file: Path, model: YuNet, metadata: dict[str, str]) -> None:
    """Writes the weights in f16, batch norms included."""
    state = {
        name: value.half().contiguous()
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(state, file, {"arch": "yunet", **metadata})


def load_checkpoint(file: Path) -> YuNet:
    """A model from a safetensors file, or from a published `.pth` that you trust: opening one can
    run code."""
    if file.suffix == ".safetensors":
        state = load_file(file)
    else:
        state = torch.load(file, map_location="cpu", weights_only=False)["state_dict"]
    model = YuNet()
    model.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)
    return model.eval()
