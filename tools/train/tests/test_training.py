"""The three stages on tiny pictures: losses fall, runs resume exactly, exports open."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from faces import faces, source
from pentimento_reference.mmrbnet import MmrbNet, load_checkpoint
from runs import TINY, only
from torch import Tensor

from pentimento_train.alignment import TEMPLATE
from pentimento_train.critics import Critics
from pentimento_train.data import Batch, Pairs
from pentimento_train.discriminator import Discriminator
from pentimento_train.feature_network import FeatureNetwork
from pentimento_train.half import multiplies_bf16
from pentimento_train.heighten import heighten
from pentimento_train.interpolate import interpolate, transfer
from pentimento_train.losses import balancing, severity
from pentimento_train.muon import Muon, orthogonal, split
from pentimento_train.restoration import Restoration
from pentimento_train.run_config import RunConfig
from pentimento_train.stage import Stage
from pentimento_train.train import Trainer
from pentimento_train.widen import widen

RUNS = [
    Path(__file__).parents[1] / f"{name}.toml"
    for name in (
        "restoration",
        "adversarial",
        "identity",
        "identity-gpu",
        "three-stages",
        "ablation",
        "ablation-plain",
        "ablation-no-self-reconstruction",
    )
]


def lines(folder: Path) -> list[dict[str, Any]]:
    """The log's lines with losses."""
    read = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in read if "loss" in line]


def run(folder: Path, config: RunConfig) -> None:
    """Trains to the end, or on from where it was."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(6)
    features = FeatureNetwork().requires_grad_(False).eval()
    trainer = Trainer(config, folder, perceptual=features, detector=features)
    trainer.train(source(6, config), faces(2, config.model.size))


def test_a_wider_network_computes_the_same() -> None:
    config = RunConfig.from_toml(TINY).model
    torch.manual_seed(3)
    old = MmrbNet(config).eval()
    mmrb = replace(config.mmrb, path_channels={4: 4, 8: 12})
    wide = replace(config, channels={4: 16, 8: 16, 16: 16}, mmrb=mmrb)
    new = widen(old, wide)
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        wanted, got = old(x), new(x)
    assert (got - wanted).norm() / wanted.norm() < 1e-5
    assert sum(p.numel() for p in new.parameters()) > 2 * sum(p.numel() for p in old.parameters())
    # New channels take part in training: what reads them is zero, but not its gradient.
    new(x).square().mean().backward()
    assert new.encoder.stem.weight.grad is not None
    assert new.decoder.levels["8"].conv.weight.grad[:8, 8:].abs().max() > 0


def test_between_two_networks() -> None:
    config = RunConfig.from_toml(TINY).model
    first, second = MmrbNet(config), MmrbNet(config)
    between = interpolate(first, second, 0.25)
    ours, theirs = (n.state_dict()["encoder.stem.weight"] for n in (first, second))
    torch.testing.assert_close(between["encoder.stem.weight"], 0.75 * ours + 0.25 * theirs)
    other = MmrbNet(replace(config, latent_dim=12))
    with pytest.raises(SystemExit, match="differ in more than their weights"):
        interpolate(first, other, 0.5)
    onto = MmrbNet(config)
    moved = transfer(first, second, onto, 0.5)["encoder.stem.weight"]
    stem = onto.state_dict()["encoder.stem.weight"]
    torch.testing.assert_close(moved, stem + 0.5 * (theirs - ours))
    with pytest.raises(SystemExit, match="differ in more than their weights"):
        transfer(first, second, other, 0.5)


def test_a_codec_with_a_higher_top_learns_what_the_old_one_does() -> None:
    """Old levels keep their weights, and the new ones bring the output near the old one's."""
    config = RunConfig.from_toml(TINY).model
    assert config.codec_size == 8
    torch.manual_seed(3)
    old = MmrbNet(config).eval()
    high = replace(config, stem_unshuffle=1, channels=config.channels | {16: 12})
    pictures = torch.rand(4, 2, 3, 16, 16) * 2 - 1

    def error(steps: int) -> float:
        new = heighten(old, high, cycle(pictures), steps)
        kept = ("encoder.levels.8.mmrb.0.fuse.weight", "generator.constant")
        for name in kept:
            assert torch.equal(new.state_dict()[name], old.state_dict()[name])
        with torch.no_grad():
            wanted, got = old(pictures[0]), new(pictures[0])
        return ((got - wanted).norm() / wanted.norm()).item()

    assert error(150) < 0.5 * error(1)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    config = RunConfig.from_toml(TINY)
    assert config.restoration is not None
    loss = {**config.restoration.loss, "charbonnier": float("inf")}
    broken = replace(config.restoration, loss=loss)
    broken_run = only(replace(config, restoration=broken), "restoration")
    with pytest.raises(SystemExit, match="restoration: the loss of step 1 is not a number"):
        run(tmp_path / "run", broken_run)


def test_orthogonal_matrices_have_the_directions_and_no_other_lengths() -> None:
    torch.manual_seed(8)
    left, right = (torch.linalg.qr(torch.randn(2, n, 8))[0] for n in (8, 30))
    values = torch.logspace(0, -1, 8)
    matrices = (left * values) @ right.mT
    for x, wanted in ((matrices, left @ right.mT), (matrices.mT, right @ left.mT)):
        for half in (False, True):
            found = orthogonal(x, half=half)
            lengths = torch.linalg.svdvals(found)
            assert found.dtype == x.dtype and lengths.min() > 0.6 and lengths.max() < 1.3
            assert (found - wanted).norm() / wanted.norm() < 0.3
    assert not orthogonal(torch.zeros(1, 4, 3)).any()


def test_muon_descends_where_gradients_are_small_too() -> None:
    """Errors along rare directions are gone as soon as the others; Adam's rate fits one of them."""
    torch.manual_seed(9)
    scales = torch.logspace(0, -2, 16)
    weight = torch.nn.Parameter(torch.zeros(16, 4, 2, 2))
    optimizer = Muon([{"params": [weight], "lr": 0.05}], 0.9)
    wanted = torch.randn(16, 16) * 0.3
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 200)
        optimizer.zero_grad()
        # Inputs that are rarely large.
        ((weight.flatten(1) - wanted) * scales).square().sum().backward()
        optimizer.step()
    error = (weight.detach().flatten(1) - wanted).square().mean(0)
    assert error.max() < 0.01 * wanted.square().mean()


def test_only_matrices_are_muons() -> None:
    shapes = ((8, 4, 3, 3), (3, 8, 1, 1), (8,), (1, 8, 4, 4), (8, 8))
    parameters = [torch.nn.Parameter(torch.zeros(s)) for s in shapes]
    matrices, others = split([{"params": parameters, "lr": 0.1, "factor": "codec"}])
    assert [p.shape for p in matrices[0]["params"]] == [shapes[0], shapes[4]]
    assert [p.shape for p in others[0]["params"]] == [shapes[1], shapes[2], shapes[3]]
    assert all(g["lr"] == 0.1 and g["factor"] == "codec" for g in matrices + others)


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"neon": True}, True),
        (None, True),
    ],
)
def test_bf16_is_for_what_multiplies_it(
    known: dict[str, bool] | None, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    if known is not None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert multiplies_bf16("cpu") == wanted
    assert multiplies_bf16("cuda")


def test_samples_count_alike_when_balanced() -> None:
    wanted = torch.zeros(3, 3, 8, 8)
    given = wanted + torch.tensor([0.1, 0.2, 0.4])[:, None, None, None]
    weights = balancing(given, wanted)
    errors = (weights * (given - wanted)).abs().mean((1, 2, 3))
    assert torch.allclose(
        errors, errors.mean().expand(3)
    ) and weights.mean().item() == pytest.approx(1)


def test_what_is_hardly_degraded_is_hardly_judged() -> None:
    wanted = torch.zeros(3, 3, 8, 8)
    given = wanted + torch.tensor([0.02, 0.08, 0.4])[:, None, None, None]
    assert severity(given, wanted).tolist() == pytest.approx([0.0, 0.5, 1.0], abs=1e-5)


def test_patches_are_judged_in_their_places() -> None:
    """A blot in one corner moves the opinion of its patch the most, and of the opposite one not."""
    torch.manual_seed(4)
    critic = Discriminator(32, 8, 16, 1, patches=8)
    pictures = torch.zeros(2, 3, 32, 32)
    pictures[1, :, :4, :4] = 1.0
    whole, places = critic(pictures).logits
    assert whole.shape == (2, 1)
    moved = (places[1] - places[0]).abs().view(8, 8)
    assert moved.argmax() == 0 and moved[4:, 4:].max() == 0
    with pytest.raises(ValueError, match=r"no features have a side of 32, only of \[4, 8, 16\]"):
        Discriminator(32, 8, 16, 1, patches=32)


def stage_of(config: RunConfig, name: str) -> Stage:
    """A stage as it begins, the ones before it left out."""
    return next(Trainer(only(config, name), Path("nowhere")).stages())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of all three stages, 20 steps each."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, RunConfig.from_toml(TINY))
    return folder


@pytest.mark.parametrize("file", RUNS, ids=lambda f: f.stem)
def test_the_runs_read(file: Path) -> None:
    config = RunConfig.from_toml(file)
    assert config.model.size in (64, 256)
    assert config.repeated is None or config.repeated.faces.is_file()
    within = config.within(10)
    stages = (within.prior, within.reconstruction, within.restoration)
    assert sum(s.schedule.minutes for s in stages if s) == pytest.approx(10)


def test_false_leaves_out_what_is_there_and_is_a_value_where_nothing_is(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(f'base = "{TINY}"\nprior = false\n[restoration]\nnoise = false\n')
    config = RunConfig.from_toml(file)
    assert config.prior is None
    assert config.restoration is not None and not config.restoration.noise


@pytest.mark.parametrize(
    ("sides", "error"),
    [
        ({"face_side": 5}, "face_side is 5, which does not divide 16"),
        ({"detail_side": 32}, "detail_side is 32, not above 4 and up to 16"),
    ],
)
def test_discriminators_judge_sides_that_fit_the_face(
    tmp_path: Path, sides: dict[str, int], error: str
) -> None:
    config = only(RunConfig.from_toml(TINY), "restoration")
    stage = config.restoration
    assert stage is not None and stage.critics is not None
    odd = replace(stage, critics=replace(stage.critics, **sides))
    trainer = Trainer(replace(config, restoration=odd), tmp_path)
    with pytest.raises(ValueError, match=error):
        next(trainer.stages())


def test_a_detail_is_the_same_square_of_what_is_judged_and_of_what_is_real(tmp_path: Path) -> None:
    config = only(RunConfig.from_toml(TINY), "restoration")
    stage = next(Trainer(config, tmp_path).stages())
    assert isinstance(stage, Restoration) and stage.critics is not None
    face = torch.rand(2, 3, 16, 16)
    batch = Batch(-face, face, TEMPLATE.repeat(2, 1, 1))
    own, real = stage._views(stage.critics, batch, [face + 1, face])
    assert own["face"].shape == (2, 6, 8, 8) and own["detail"].shape == (2, 6, 8, 8)
    assert torch.allclose(own["detail"][:, :3], real["detail"][:, :3] + 1, atol=1e-5)
    assert torch.allclose(real["detail"][:, 3:], -real["detail"][:, :3], atol=1e-5)
    squares = face.unfold(2, 8, 1).unfold(3, 8, 1).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)
    distances = (squares - real["detail"][:, None, :3]).abs().amax((2, 3, 4))
    assert (distances.amin(1) < 1e-5).all(), "it is no square of the face at full resolution"


def test_what_is_not_the_face_is_changed_where_that_is_asked_for() -> None:
    config = RunConfig.from_toml(TINY)
    assert config.restoration and config.restoration.critics
    view = torch.randn(4, 3, 8, 8)
    for asked in (False, True):
        critic_config = replace(config.restoration.critics, augment_parts=asked)
        sizes = {"face": 8, "mouth": 8}
        critics = Critics(critic_config, sizes, torch.device("cpu"), torch.Generator())
        critics.augmentation.p = 0.8
        assert torch.equal(critics._seen("mouth", view), view) != asked


def test_discriminators_go_on_in_another_run(whole: Path, tmp_path: Path) -> None:
    """The run's rates are its own; without discriminators there is no place for them."""
    config = only(RunConfig.from_toml(TINY), "restoration")
    stage = next(Trainer(config, tmp_path, critics=whole / "state.pt").stages())
    assert isinstance(stage, Restoration) and stage.critics is not None
    before = torch.load(whole / "state.pt", weights_only=True)["stage"]
    name, weight = next(iter(stage.critics.modules.state_dict().items()))
    assert torch.equal(weight, before["modules"]["critics"][name])
    assert len(stage.critics.optimizer.state) == len(before["optimizers"]["critics"]["state"])
    own = config.restoration
    assert own is not None and own.critics is not None
    faster = replace(own, critics=replace(own.critics, learning_rate=0.5))
    trainer = Trainer(replace(config, restoration=faster), tmp_path, critics=whole / "state.pt")
    stage = next(trainer.stages())
    assert stage.optimizers["critics"].param_groups[0]["peak"] > 0.25
    none = replace(config, restoration=replace(own, critics=None))
    with pytest.raises(SystemExit, match="no discriminators to take the place of"):
        next(Trainer(none, tmp_path, critics=whole / "state.pt").stages())


def test_without_noise_the_stored_one_stays_out(tmp_path: Path) -> None:
    config = only(RunConfig.from_toml(TINY), "restoration")
    assert config.restoration is not None
    quiet = replace(config.restoration, noise=False)
    run(tmp_path, replace(config, restoration=quiet))
    generator = load_checkpoint(tmp_path / "model.safetensors").generator
    weights = [v for k, v in generator.named_parameters() if k.endswith("noise_weight")]
    assert weights
    assert not any(weights)


def test_the_ablations_have_as_many_weights_as_their_partner() -> None:
    counts = [
        sum(p.numel() for p in MmrbNet(RunConfig.from_toml(f).model).parameters())
        for f in RUNS[-3:]
    ]
    assert counts[0] == counts[1] == counts[2]
    steps = [
        sum(s.schedule.steps for s in (c.reconstruction, c.restoration) if s)
        for c in map(RunConfig.from_toml, RUNS[-3:])
    ]
    assert steps[0] == steps[1] == steps[2]


def test_every_stage_runs_and_exports(whole: Path) -> None:
    logged = lines(whole)
    for name in ("prior", "reconstruction", "restoration"):
        assert [x["step"] for x in logged if x["stage"] == name] == list(range(1, 21))
        assert list((whole / "pictures").glob(f"{name}-*.png"))
    assert all("path" in x for x in logged if x["stage"] == "prior" and x["step"] % 4 == 1)
    assert all("features" in x for x in logged if x["stage"] == "restoration")
    assert any("adversarial_face" in x for x in logged if x["stage"] == "restoration")
    wanted = {"detection", "perceptual", "texture"}
    assert all(wanted <= x.keys() for x in logged if x["stage"] == "restoration")
    model = load_checkpoint(whole / "model.safetensors")
    assert torch.isfinite(model(torch.zeros(1, 3, 16, 16))).all()


@pytest.mark.parametrize("name", ["reconstruction", "restoration"])
def test_losses_fall(whole: Path, name: str) -> None:
    values = [x["charbonnier"] for x in lines(whole) if x["stage"] == name]
    assert fmean(values[-5:]) < 0.95 * fmean(values[:5])


def test_the_prior_learns_against_its_discriminator(whole: Path) -> None:
    """Each loss is measured against a moving opponent; so neither may run away."""
    last = [x for x in lines(whole) if x["stage"] == "prior"][-5:]
    assert fmean(x["loss"] for x in last) < 3
    assert 0.05 < fmean(x["critic_face"] for x in last) < 3


def test_self_reconstruction_leaves_the_prior_alone() -> None:
    config = RunConfig.from_toml(TINY)
    stage = stage_of(config, "reconstruction")
    model = stage.networks.model
    before = {k: v.clone() for k, v in model.state_dict().items()}
    step(stage, config)
    after = model.state_dict()
    same = {k for k in before if torch.equal(before[k], after[k])}
    assert {k for k in before if k.startswith("generator.")} <= same
    assert "encoder.stem.weight" not in same


def test_the_generator_waits_for_its_release() -> None:
    config = RunConfig.from_toml(TINY)
    stage = stage_of(config, "restoration")
    constant = stage.networks.model.generator.constant
    before = constant.detach().clone()
    step(stage, config)
    assert torch.equal(constant, before)
    stage.step = 10
    step(stage, config)
    assert not torch.equal(constant, before)


def test_what_squares_show_is_what_is_there() -> None:
    stage = stage_of(RunConfig.from_toml(TINY), "restoration")
    assert isinstance(stage, Restoration)
    pictures = torch.rand(5, 3, 16, 16)
    one, other = stage._squares([pictures, -pictures], 8)
    assert torch.equal(one, -other)
    places = pictures.unfold(2, 8, 1).unfold(3, 8, 1)
    apart = (places - one[:, :, None, None]).abs().amax((1, 4, 5)).flatten(1)
    found = apart.argmin(1)
    assert apart.amin(1).max() < 1e-5 and len(set(found.tolist())) > 1


def step(stage: Stage, config: RunConfig) -> None:
    """One step on the run's first pairs."""
    pairs = Pairs(source(6, config), stage.schedule.batch, 1, 0)
    stage.train_step(next(iter(pairs)))


class Interrupted(Exception):
    """In the place of a killed process."""


def test_an_interrupted_run_is_the_uninterrupted_one(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at three random steps, the state up to four steps old: the curves are the same."""
    config = RunConfig.from_toml(TINY)
    kills = set(random.Random().sample(range(1, 60), 3))
    steps = 0
    finish, save = Stage.finish_step, Trainer.save

    def finish_step(stage: Stage) -> None:
        nonlocal steps
        steps += 1
        if steps in kills:
            kills.remove(steps)
            raise Interrupted
        finish(stage)

    def sometimes(trainer: Trainer, stage: Stage, finished: bool = False) -> None:
        if finished or stage.step % 4 == 0:
            save(trainer, stage, finished)

    monkeypatch.setattr(Stage, "finish_step", finish_step)
    monkeypatch.setattr(Trainer, "save", sometimes)
    monkeypatch.setattr("pentimento_train.train.SAVE_EVERY_SECONDS", 0.0)
    at = sorted(kills)
    while True:
        try:
            run(tmp_path, config)
            break
        except Interrupted:
            continue
    assert not kills, f"never interrupted at {kills}"
    expected, resumed = lines(whole), lines(tmp_path)
    assert len(resumed) == len(expected)
    for a, b in zip(expected, resumed, strict=True):
        assert a.keys() == b.keys(), f"interrupted at {at}"
        for key in a.keys() - {"stage", "seconds"}:
            assert b[key] == pytest.approx(a[key], rel=1e-4, abs=1e-5), f"interrupted at {at}"


def test_discriminators_tell_bright_from_dark() -> None:
    """Critics, R1 and augmentation together learn what is easy to see."""
    config = RunConfig.from_toml(TINY)
    assert config.prior
    random_source = torch.Generator().manual_seed(3)
    torch.manual_seed(3)
    critics = Critics(config.prior.critics, {"face": 16}, torch.device("cpu"), random_source)

    def views(level: float) -> dict[str, Tensor]:
        return {"face": torch.randn(4, 3, 16, 16, generator=random_source) * 0.1 + level}

    losses = [critics.learn(views(0.5), views(-0.5), i)["critic_face"].item() for i in range(60)]
    assert fmean(losses[-5:]) < 0.6 * losses[0]
    assert critics.augmentation.p > 0
    judged = critics.judge(views(-0.5))["face"].adversarial
    assert judged > critics.judge(views(0.5))["face"].adversarial


def test_beside_the_input_what_contradicts_it_betrays() -> None:
    """Bright and dark are real alike; only a picture unlike its input is not."""
    config = RunConfig.from_toml(TINY)
    assert config.restoration and config.restoration.critics
    random_source = torch.Generator().manual_seed(3)
    torch.manual_seed(3)
    critic_config = replace(config.restoration.critics, patches=0)
    critics = Critics(critic_config, {"face": 16}, torch.device("cpu"), random_source, channels=6)

    def views(sign: float) -> dict[str, Tensor]:
        level = torch.tensor([0.5, -0.5, 0.5, -0.5])[:, None, None, None]
        given = torch.randn(4, 3, 16, 16, generator=random_source) * 0.1 + level
        return {"face": torch.cat([given * sign, given], 1)}

    losses = [critics.learn(views(1), views(-1), i)["critic_face"].item() for i in range(60)]
    assert fmean(losses[-5:]) < 0.6 * losses[0]
    judged = critics.judge(views(-1))["face"].adversarial
    assert judged > critics.judge(views(1))["face"].adversarial
