"""One more level on top of a trained network."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from pentimento_reference.config import ConfigError
from pentimento_reference.mmrbnet import MmrbNet
from pentimento_reference.stylegan2 import bilinear2
from runs import TINY

from pentimento_train.doubled import doubled, doubled_config
from pentimento_train.run_config import RunConfig

CONFIG = RunConfig.from_toml(TINY).model


@pytest.mark.parametrize("skip", [True, False])
def test_it_starts_as_the_old_network_enlarged(skip: bool) -> None:
    torch.manual_seed(3)
    old = MmrbNet(replace(CONFIG, input_skip=skip)).eval()
    new = doubled(old, 6)
    assert new.config.size == 32 and new.config.codec_size == old.config.codec_size
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    means = F.avg_pool2d(x, 2)
    with torch.no_grad():
        change = old(means) - (means if skip else 0)
        wanted = bilinear2(change) + (x if skip else 0)
        torch.testing.assert_close(new(x), wanted, atol=2e-5, rtol=1e-4)
    # The new level takes part in training from the first step.
    new(x).square().mean().backward()
    assert new.generator.levels["32"].to_rgb.weight.grad.abs().max() > 0


def test_the_default_network_has_a_form_at_512() -> None:
    """Shapes alone, on the meta device: nothing is computed."""
    base = RunConfig.from_toml(TINY.parents[1] / "restoration.toml").model
    config = doubled_config(base, 8)
    assert (config.size, config.stem_unshuffle, config.codec_size) == (512, 4, 128)
    with torch.device("meta"):
        small, large = MmrbNet(base), MmrbNet(config)
        assert large(torch.empty(1, 3, 512, 512)).shape == (1, 3, 512, 512)
    counts = [sum(p.numel() for p in n.parameters()) for n in (small, large)]
    assert 0 < counts[1] - counts[0] < 0.06 * counts[0]


def test_a_level_too_many_is_refused() -> None:
    larger = doubled_config(CONFIG, 4)
    with pytest.raises(ConfigError, match="`stem_unshuffle` must be 1, 2 or 4"):
        doubled_config(larger, 4)
