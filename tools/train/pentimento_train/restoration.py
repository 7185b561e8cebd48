"""Stage 3: degraded faces in, the faces out; the codec is pulled to what it knew of clean ones."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from pentimento_reference.mmrbnet import Code, MmrbNet
from pentimento_reference.stylegan2 import StyledConv
from torch import Tensor

from .adversarial import requires_grad
from .alignment import COMPONENTS, components, crop
from .critics import CriticConfig, Critics
from .data import Batch
from .feature_network import DetectorFeatures, Perceptual
from .identity import identity_distance
from .landmark_loss import landmark_distance
from .losses import balancing, charbonnier, feature_distance, gradient, picture_loss, severity
from .recognition import Recognition
from .schedule import Schedule
from .stage import Networks, Stage, Terms, parameter_groups
from .texture import texture_distance


@dataclass(frozen=True)
class RestorationConfig:
    """The stage's section of the run's file."""

    schedule: Schedule
    loss: Mapping[str, float]
    """Weights: the terms of `losses.PICTURE_TERMS`; `parts`, Charbonnier and gradient once more on
    crops of eyes and mouth; `features`; `detection`, a face detector's features; `perceptual`, those
    of a network on disk; `landmarks`, which a face detector finds; `texture`; `identity`, the distance
    of a recognition network's embeddings, which counts by how badly a face is degraded; `kept`,
    Charbonnier against what the start network restores; `adversarial` (the whole face), `detail` (a
    square of it at full resolution), `components` (its parts) and `matching` (the discriminators'
    features, of all)."""
    feature_levels: tuple[int, ...]
    """Decoder levels that the feature term compares, beside the latents."""
    generator_from: float
    """The part of the stage after which the generator learns too."""
    generator_rate: float
    """Its learning rate relative to the codec's."""
    adversarial_from: float
    """The part of the stage after which the adversarial terms set in, growing over a tenth."""
    critics: CriticConfig | None
    balanced: bool = False
    """Samples count alike, however badly they were degraded: `losses.balancing`; the adversarial
    terms, `perceptual` and `texture` count by how badly: `losses.severity`."""
    noise: bool = True
    """Whether the generator adds its stored noise. Its weights are zero without, and stay so: what is
    stored is the same grain for every face, and the easiest answer to a discriminator."""
    inside_only: bool = False
    """Whether what is mirrored at the faces' borders is left out of every term."""
    perceptual_side: int = 0
    """Side of the squares, somewhere in each face, that `perceptual` and `texture` compare; 0: the
    whole face."""


Views = dict[str, Tensor]
"""Pictures by the name of the discriminator that judges them."""


def compared(code: Code, levels: tuple[int, ...]) -> list[Tensor]:
    """What the feature term sees of a code."""
    return [code.latents, *(code.decoded[level] for level in levels)]


@torch.no_grad()
def silence(model: MmrbNet) -> None:
    """Leaves the stored noise out, now and in training."""
    for module in model.generator.modules():
        if isinstance(module, StyledConv):
            module.noise_weight.zero_().requires_grad_(False)


class Restoration(Stage):
    """The stage in the middle of its run. Its teacher is the codec as it begins."""

    name = "restoration"
    degrades = True

    def __init__(
        self,
        networks: Networks,
        config: RestorationConfig,
        perceptual: Perceptual | None,
        detector: Perceptual | None = None,
        recognition: Recognition | None = None,
    ) -> None:
        super().__init__(networks, config.schedule)
        self.config = config
        self.perceptual = perceptual
        self.detector = detector
        self.recognition = recognition
        if config.loss.get("identity", 0) > 0 and recognition is None:
            raise SystemExit("the run's `identity` has a weight: name the network by --identity")
        model = networks.model
        self.teacher: MmrbNet = copy.deepcopy(model).requires_grad_(False).eval()
        self.modules["teacher"] = self.teacher
        model.requires_grad_(True)
        if not config.noise:
            if model.config.inject == "noise_concat":
                raise ValueError(
                    "noise is off, but `noise_concat` puts the conditions in its place"
                )
            silence(model)
            silence(networks.ema)
        codec = [model.encoder, model.decoder, model.condition]
        groups = parameter_groups(codec, config.schedule)
        groups += parameter_groups([model.generator], config.schedule, "generator")
        self.optimise("model", groups)
        self.critics: Critics | None = None
        if config.critics is not None:
            self.critics = self._discriminators(config.critics)
            self.modules["critics"] = self.critics.modules
            self.optimizers["critics"] = self.critics.optimizer
            self.scalars["augmentation"] = 0.0
        self.restore: Callable[[Tensor], tuple[Tensor, Code]] = self._restore
        if networks.compiled:
            self.restore = torch.compile(self._restore)

    def _discriminators(self, config: CriticConfig) -> Critics:
        """Those that the loss has a weight for: of the face, of a square of it, of its parts."""
        networks, weights = self.networks, self.config.loss
        size = networks.model.config.size
        side = config.face_side or size
        if size % side:
            raise ValueError(f"face_side is {side}, which does not divide {size}")
        self.face_reduction = size // side
        sizes = {"face": side}
        if weights.get("components", 0) > 0:
            sizes |= {"eyes": size // 4, "mouth": size // 4}
        if weights.get("detail", 0) > 0:
            sizes["detail"] = config.detail_side
            if not 4 < config.detail_side <= size:
                raise ValueError(
                    f"detail_side is {config.detail_side}, not above 4 and up to {size}"
                )
        channels = 6 if config.beside_given else 3
        return Critics(config, sizes, networks.device, networks.random, channels, networks.compiled)

    def adopt_critics(self, state: Mapping[str, Any]) -> None:
        """Goes on with the discriminators of another restoration's state, at this one's rates."""
        if self.critics is None:
            raise SystemExit("the run has no discriminators to take the place of")
        try:
            self.critics.modules.load_state_dict(state["modules"]["critics"])
        except (KeyError, RuntimeError) as error:
            raise SystemExit("the state holds no discriminators of this form") from error
        optimizer = self.critics.optimizer
        moments = state["optimizers"]["critics"]["state"]
        optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})

    def _restore(self, given: Tensor) -> tuple[Tensor, Code]:
        code = self.networks.model.encode(given)
        return self.networks.model.generate(code, given), code

    def _views(self, critics: Critics, batch: Batch, several: list[Tensor]) -> list[Views]:
        """What the discriminators see of each of `several` pictures of the batch's faces."""
        if critics.config.beside_given:
            several = [torch.cat([pictures, batch.degraded], 1) for pictures in several]
        views: list[Views] = [{"face": F.avg_pool2d(p, self.face_reduction)} for p in several]
        if "detail" in critics.modules:
            squares = self._squares(several, critics.config.detail_side)
            for view, square in zip(views, squares, strict=True):
                view["detail"] = square
        if "eyes" in critics.modules:
            for view, pictures in zip(views, several, strict=True):
                view |= components(pictures, batch.landmarks)
        return views

    def _adversarial_part(self) -> float:
        """0 before the adversarial terms set in, 1 when they are at their full weight."""
        if self.critics is None:
            return 0.0
        return min(1.0, max(0.0, (self.progress - self.config.adversarial_from) / 0.1))

    def _likeness(self, restored: Tensor, target: Tensor, weight: Tensor | None) -> Terms:
        """`detection`, `landmarks`, `perceptual` and `texture`, where they have a weight."""
        weights, network, detector = self.config.loss, self.perceptual, self.detector
        terms = {}
        if detector is not None and weights.get("detection", 0) > 0:
            with torch.no_grad():
                seen = detector.levels(target)
            terms["detection"] = feature_distance(detector.levels(restored), seen)
        if detector is not None and weights.get("landmarks", 0) > 0:
            if not isinstance(detector, DetectorFeatures):
                raise SystemExit("the run's `landmarks` has a weight: name a YuNet by --detector")
            terms["landmarks"] = landmark_distance(detector.detector, restored, target)
        if self.config.perceptual_side:
            restored, target = self._squares([restored, target], self.config.perceptual_side)
        if network is not None and weights.get("perceptual", 0) > 0:
            with self.networks.autocast():
                with torch.no_grad():
                    real = [f.float() for f in network.levels(target)]
                own = [f.float() for f in network.levels(restored)]
            terms["perceptual"] = feature_distance(own, real, weight)
        if weights.get("texture", 0) > 0:
            terms["texture"] = texture_distance(restored, target, weight)
        return terms

    def _squares(self, pictures: list[Tensor], side: int) -> list[Tensor]:
        """The same square, somewhere else in every sample, of each of the pictures."""
        count, size = len(pictures[0]), pictures[0].shape[-1]
        corners = torch.randint(size - side + 1, (count, 2), generator=self.networks.random)
        centres = ((corners + side / 2) / size).to(pictures[0])
        lengths = centres.new_full((count,), side / size)
        # In one kernel, where slices would be two for every sample.
        return [crop(p, centres, lengths, side) for p in pictures]

    def train_step(self, batch: Batch) -> Terms:
        config, weights = self.config, self.config.loss
        released = self.progress >= config.generator_from
        self.set_rates({"generator": config.generator_rate if released else 0.0, "critics": 1.0})
        with self.networks.autocast():
            restored, code = self.restore(batch.degraded)
        restored = restored.float()
        if config.inside_only and batch.inside is not None:
            restored = torch.where(batch.inside > 0.5, restored, batch.target)
        scale = balancing(batch.degraded, batch.target) if config.balanced else None
        loss, terms = picture_loss(restored, batch.target, weights, scale)
        if weights.get("parts", 0) > 0:
            pictures = (restored, batch.target)
            if scale is not None:
                pictures = (restored * scale, batch.target * scale)
            own, wanted = (components(x, batch.landmarks) for x in pictures)
            terms["parts"] = torch.stack(
                [charbonnier(own[k], wanted[k]) + gradient(own[k], wanted[k]) for k in COMPONENTS]
            ).mean()
            loss = loss + weights["parts"] * terms["parts"]
        if weights.get("features", 0) > 0:
            with torch.no_grad(), self.networks.autocast():
                clean = self.teacher.encode(batch.target)
            terms["features"] = feature_distance(
                [f.float() for f in compared(code, config.feature_levels)],
                [f.float() for f in compared(clean, config.feature_levels)],
            )
            loss = loss + weights["features"] * terms["features"]
        if weights.get("kept", 0) > 0:
            with torch.no_grad(), self.networks.autocast():
                before = self.teacher(batch.degraded)
            terms["kept"] = charbonnier(restored, before.float())
            loss = loss + weights["kept"] * terms["kept"]
        weight = severity(batch.degraded, batch.target) if config.balanced else None
        likeness = self._likeness(restored, batch.target, weight)
        if self.recognition is not None and weights.get("identity", 0) > 0:
            likeness["identity"] = identity_distance(
                self.recognition, restored, batch, weight, self.networks.random
            )
        for name, term in likeness.items():
            terms[name] = term
            loss = loss + weights[name] * term
        part = self._adversarial_part()
        critics = self.critics if part > 0 else None
        if critics is not None:
            critics.augmentation.p = self.scalars["augmentation"]
            views, real = self._views(critics, batch, [restored, batch.target])
            matching = weights.get("matching", 0.0)
            with self.networks.autocast():
                judged = critics.judge(views, weight, real if matching > 0 else None)
            for name, verdict in judged.items():
                kind = {"face": "adversarial", "detail": "detail"}.get(name, "components")
                terms[f"adversarial_{name}"] = verdict.adversarial
                loss = loss + part * weights.get(kind, 0.0) * verdict.adversarial
                if verdict.matching is not None:
                    terms[f"matching_{name}"] = verdict.matching
                    loss = loss + part * matching * verdict.matching
        self.update("model", loss, self.networks.model.parameters())
        if critics is not None:
            with self.networks.autocast(), requires_grad(critics.modules, True):
                fake = {k: v.detach() for k, v in views.items()}
                terms |= critics.learn(real, fake, self.step, weight)
            self.scalars["augmentation"] = critics.augmentation.p
        self.finish_step()
        return {"loss": loss.detach(), **{k: v.detach() for k, v in terms.items()}}

    @torch.no_grad()
    def sheet(self, given: Tensor, faces: Tensor) -> Tensor:
        restored = self.networks.ema(given)
        rows = [torch.cat(list(v), -1) for v in (given, restored.clamp(-1, 1), faces)]
        return torch.cat(rows, 1)
