"""The discriminators of a stage: one for the face, and in restoration one for each of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from . import parallel
from .adversarial import discriminator_loss, generator_loss, r1_penalty, requires_grad
from .augmentation import Augmentation, Change
from .discriminator import Discriminator, Opinion
from .losses import feature_distance


@dataclass(frozen=True)
class CriticConfig:
    """Size and training of the discriminators."""

    width: int
    """Channels at the highest resolution, behind the unshuffling."""
    most: int
    unshuffle: int
    learning_rate: float
    r1: float
    r1_every: int
    """Lazily: the penalty counts this many times, once in as many steps."""
    pictures_to_full: float
    """Adaptive augmentation's speed; see `Augmentation`."""
    patches: int = 0
    """Side of the face's features that are judged place by place; 0: only the face as a whole."""
    part_unshuffle: int = 1
    """As `unshuffle`, for eyes and mouth."""
    face_side: int = 0
    """Side to which the face is averaged before it is judged; 0: as it is. What is finer, as grain
    is, then neither convinces nor betrays: shapes must."""
    detail_side: int = 0
    """Side of a square somewhere in each face that is judged at full resolution, as `face` is but by
    a discriminator of its own; 0: none. Where `face_side` hides what is fine, hair and skin are seen
    here."""
    augment_parts: bool = False
    """Whether what is not the face is changed too before it is judged. The faces that a long run
    shows again and again are soon known by heart otherwise."""
    beside_given: bool = False
    """Whether restoration has a face and its parts judged beside the degraded ones. Without that a
    closed mouth convinces, whatever the input shows of teeth."""


def _repeated(weight: Tensor | None, view: Tensor) -> Tensor | None:
    """The weights of a view that has several crops of each face."""
    return None if weight is None else weight.repeat(len(view) // len(weight))


def _laid_out(view: Tensor) -> Tensor:
    """In one layout, whatever was done to it; what is compiled is so for each that it sees."""
    return view.contiguous(memory_format=torch.channels_last)


class Verdict(NamedTuple):
    """Losses of what was judged: how unreal it is, and how far from the real one in features."""

    adversarial: Tensor
    matching: Tensor | None


class Critics:
    """Judges sets of crops by name; `face` is the whole picture."""

    def __init__(
        self,
        config: CriticConfig,
        sizes: Mapping[str, int],
        device: torch.device,
        random: torch.Generator,
        channels: int = 3,
        compiled: bool = False,
    ) -> None:
        self.config = config
        seen = {name: (config.part_unshuffle, 0) for name in sizes}
        for name in {"face", "detail"} & set(sizes):
            seen[name] = (config.unshuffle, config.patches)
        self.modules = nn.ModuleDict(
            {
                name: Discriminator(size, config.width, config.most, *seen[name], channels)
                for name, size in sizes.items()
            }
        ).to(device, memory_format=torch.channels_last)
        # Second derivatives, for R1, are taken of the modules themselves.
        self.opinions: dict[str, Callable[[Tensor], Opinion]] = {
            name: torch.compile(module) if compiled else module
            for name, module in self.modules.items()
        }
        ratio = config.r1_every / (config.r1_every + 1)
        self.optimizer = torch.optim.Adam(
            [
                {
                    "params": list(self.modules.parameters()),
                    "lr": config.learning_rate * ratio,
                    "peak": config.learning_rate * ratio,
                    "factor": "critics",
                }
            ],
            betas=(0.0, 0.99**ratio),
        )
        self.augmentation = Augmentation(config.pictures_to_full, random)

    def judge(
        self,
        views: Mapping[str, Tensor],
        weight: Tensor | None = None,
        real: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Verdict]:
        """The generator's losses on its own views; a face and its parts count by its `weight` [N].

        With the `real` views beside them, the distance of the discriminators' features is there too.
        """
        verdicts = {}
        with requires_grad(self.modules, False):
            for name, view in views.items():
                change = self._change(name, len(view))
                opinion = self.opinions[name](change(view))
                matching = None
                if real is not None:
                    with torch.no_grad():
                        wanted = self.opinions[name](change(real[name])).features
                    matching = feature_distance(
                        [f.float() for f in opinion.features], [f.float() for f in wanted]
                    )
                verdicts[name] = Verdict(
                    generator_loss(opinion.logits, _repeated(weight, view)), matching
                )
        return verdicts

    def _change(self, name: str, count: int) -> Change:
        if name != "face" and not self.config.augment_parts:
            return _laid_out
        change = self.augmentation.draw(count)
        return lambda x: _laid_out(change(x))

    def _seen(self, name: str, view: Tensor) -> Tensor:
        return self._change(name, len(view))(view)

    def learn(
        self,
        real: Mapping[str, Tensor],
        fake: Mapping[str, Tensor],
        step: int,
        weight: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One update, in which a face and its parts count by their `weight` [N].

        Returns the losses, and the lazy penalty where it was due.
        """
        terms: dict[str, Tensor] = {}
        total = torch.zeros((), device=next(self.modules.parameters()).device)
        face_logits = None
        for name, view in real.items():
            critic = self.opinions[name]
            up, down = (critic(self._seen(name, v.detach())).logits for v in (view, fake[name]))
            terms[f"critic_{name}"] = discriminator_loss(up, down, _repeated(weight, view))
            total = total + terms[f"critic_{name}"]
            if name == "face":
                face_logits = up[0].detach()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        if self.config.r1 > 0 and step % self.config.r1_every == 0:
            with torch.autocast(total.device.type, enabled=False):
                penalties = [
                    r1_penalty(self.modules[n], self._seen(n, v.detach())) for n, v in real.items()
                ]
            terms["r1"] = torch.stack(penalties).sum()
            (terms["r1"] * (self.config.r1 / 2 * self.config.r1_every)).backward()
        parallel.average_gradients(self.optimizer)
        self.optimizer.step()
        if face_logits is not None:
            self.augmentation.adapt(face_logits)
        return {k: v.detach() for k, v in terms.items()}
