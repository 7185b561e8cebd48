"""Exports small networks with PyTorch, for `nameless/exported.rs`, which finds them again by their
structure: `python export_onnx.py [FOLDER [START]]`, by default all into `nameless/exported`; with START
only those whose names begin so.

Tensor number i of a network is filled with (i + 1) / 256, so that a file compresses to little and
each value says where it came from. For every network there are `NAME.onnx.gz` and `NAME.txt`: one
tensor a line, its name, value and dimensions; a value is empty where exporting changes it.

Needs torch, onnx, onnxsim, spandrel, and the published definitions of the packages gfpgan, facexlib and
codeformer-pip, unpacked; PYTHONPATH names their folders. Their imports of basicsr are stood in for.
"""

from __future__ import annotations

import gzip
import math
import re
import sys
import types
from pathlib import Path

import onnx
import onnxsim
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SQRT2 = math.sqrt(2.0)


def stand_in(name: str, **members: object) -> None:
    """A module with these members, whose folder, if it is there, is not executed."""
    module = types.ModuleType(name)
    folders = [Path(folder, *name.split(".")) for folder in sys.path]
    paths = [str(folder) for folder in folders if folder.is_dir()]
    module.__dict__.update(members, __path__=paths)
    sys.modules[name] = module


class Registry:
    def register(self):
        return lambda cls: cls


class Sizes(nn.ModuleDict):
    """Of one entry, which a size names that is not a number while PyTorch traces."""

    def __getitem__(self, key: str) -> nn.Module:
        return next(iter(self.values()))


class First(nn.Module):
    """Only the first of a network's results."""

    def __init__(self, net: nn.Module, **options: object) -> None:
        super().__init__()
        self.net, self.options = net, options

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x, **self.options)[0]


def gfpgan() -> tuple[nn.Module, nn.Module, int]:
    from gfpgan.archs.gfpganv1_clean_arch import GFPGANv1Clean

    net = GFPGANv1Clean(32, 16, narrow=0.0625, input_is_latent=True, different_w=True, sft_half=True)
    return net, First(net, return_rgb=False, randomize_noise=False), 32


def restoreformer() -> tuple[nn.Module, nn.Module, int]:
    from gfpgan.archs.restoreformer_arch import RestoreFormer

    net = RestoreFormer(
        n_embed=48, embed_dim=32, ch=32, ch_mult=(1, 1, 1), z_channels=32, resolution=64,
        attn_resolutions=(16,), head_size=4,
    )
    return net, First(net), 64


def codeformer(adain: bool = True, w: float = 1.0) -> tuple[nn.Module, nn.Module, int]:
    from codeformer.basicsr.archs import codeformer_arch as published

    class Small(published.CodeFormer):
        def __init__(self) -> None:
            published.VQAutoEncoder.__init__(self, 32, 32, [1, 1], "nearest", 2, [16], 48)
            dim = 64
            self.connect_list, self.n_layers, self.dim_embd, self.dim_mlp = ["32"], 2, dim, 2 * dim
            self.position_emb = nn.Parameter(torch.zeros(256, dim))
            self.feat_emb = nn.Linear(256, dim)
            layer = published.TransformerSALayer
            layers = [layer(embed_dim=dim, nhead=4, dim_mlp=2 * dim) for _ in range(2)]
            self.ft_layers = nn.Sequential(*layers)
            self.idx_pred_layer = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 48, bias=False))
            self.fuse_encoder_block, self.fuse_generator_block = {"32": 2}, {"32": 9}
            self.fuse_convs_dict = Sizes({"32": published.Fuse_sft_block(32, 32)})

    net = Small()
    return net, First(net, w=w, adain=adain), 32


def retinaface() -> tuple[nn.Module, nn.Module, int]:
    from facexlib.detection.retinaface import RetinaFace

    net = RetinaFace("mobile0.25", device="cpu")
    return net, net, 64


def parsenet() -> tuple[nn.Module, nn.Module, int]:
    from facexlib.parsing.parsenet import ParseNet

    net = ParseNet(32, 32, min_feat_size=8, base_ch=4, parsing_ch=5, res_depth=2, ch_range=[4, 8])
    return net, net, 32


def bisenet() -> tuple[nn.Module, nn.Module, int]:
    from facexlib.parsing.bisenet import BiSeNet

    net = BiSeNet(num_class=5)
    return net, First(net), 64


def span() -> tuple[nn.Module, nn.Module, int]:
    from spandrel.architectures.SPAN import SPAN

    net = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)
    for module in net.modules():
        # What is exported has its convolutions merged.
        if hasattr(module, "update_params"):
            module.update_params = lambda: None
    return net, net, 16


def nafnet() -> tuple[nn.Module, nn.Module, int]:
    from spandrel.architectures.NAFNet import NAFNet

    net = NAFNet(width=4, enc_blk_nums=[1, 2], middle_blk_num=1, dec_blk_nums=[2, 1])
    return net, net, 16


class EqualConv(nn.Module):
    """Of GPEN, as rosinality wrote it."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(c_out, c_in, kernel, kernel))
        self.scale, self.stride = 1 / math.sqrt(c_in * kernel**2), stride

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, stride=self.stride)


class Activation(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias.view(1, -1, 1, 1), 0.2) * SQRT2


class EqualLinear(nn.Module):
    def __init__(self, c_in: int, c_out: int, rate: float = 1.0, active: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(c_out, c_in)), nn.Parameter(torch.zeros(c_out))
        self.scale, self.rate, self.active = rate / math.sqrt(c_in), rate, active

    def forward(self, x: Tensor) -> Tensor:
        if not self.active:
            return F.linear(x, self.weight * self.scale, self.bias * self.rate)
        y = F.linear(x, self.weight * self.scale) + (self.bias * self.rate).view(1, -1)
        return F.leaky_relu(y, 0.2) * SQRT2


def upfirdn2d(x: Tensor, kernel: Tensor, up: int, pad: tuple[int, int]) -> Tensor:
    """The version without a kernel of its own, which is what can be exported."""
    x = x.permute(0, 2, 3, 1)
    _, height, width, minor = map(int, x.shape)
    before, after = pad
    x = F.pad(x.view(-1, height, 1, width, 1, minor), [0, 0, 0, up - 1, 0, 0, 0, up - 1])
    x = F.pad(x.view(-1, height * up, width * up, minor), [0, 0, before, after, before, after])
    size = [height * up + before + after, width * up + before + after]
    x = x.permute(0, 3, 1, 2).reshape([-1, 1, *size])
    x = F.conv2d(x, torch.flip(kernel, [0, 1]).view(1, 1, 4, 4))
    return x.reshape(-1, minor, size[0] - 3, size[1] - 3)


class Filter(nn.Module):
    def __init__(self, up: int, pad: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.zeros(4, 4))
        self.up, self.pad = up, pad

    def forward(self, x: Tensor) -> Tensor:
        return upfirdn2d(x, self.kernel, self.up, self.pad)


class Modulated(nn.Module):
    def __init__(self, c_in: int, c_out: int, kernel: int, latent: int, demodulate: bool, up: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, c_out, c_in, kernel, kernel))
        self.scale = 1 / math.sqrt(c_in * kernel**2)
        self.modulation = EqualLinear(latent, c_in)
        self.demodulate, self.up, self.kernel, self.out = demodulate, up, kernel, c_out
        if up:
            self.blur = Filter(1, (1, 1))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        n, c, height, width = map(int, x.shape)
        weight = self.scale * self.weight * self.modulation(w).view(n, 1, c, 1, 1)
        if self.demodulate:
            norm = torch.rsqrt(weight.pow(2).sum([2, 3, 4]) + 1e-8)
            weight = weight * norm.view(n, self.out, 1, 1, 1)
        kernel, x = self.kernel, x.view(1, n * c, height, width)
        if self.up:
            weight = weight.view(n, self.out, c, kernel, kernel).transpose(1, 2)
            y = F.conv_transpose2d(x, weight.reshape(n * c, self.out, kernel, kernel), stride=2, groups=n)
            return self.blur(y.view(n, self.out, *map(int, y.shape[2:])))
        y = F.conv2d(x, weight.view(n * self.out, c, kernel, kernel), padding=kernel // 2, groups=n)
        return y.view(n, self.out, *map(int, y.shape[2:]))


class Strength(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class Styled(nn.Module):
    def __init__(self, c_in: int, c_out: int, latent: int, up: bool) -> None:
        super().__init__()
        self.conv = Modulated(c_in, c_out, 3, latent, True, up)
        self.noise, self.activate = Strength(), Activation(2 * c_out)

    def forward(self, x: Tensor, w: Tensor, feature: Tensor) -> Tensor:
        return self.activate(torch.cat([self.conv(x, w), self.noise.weight * feature], 1))


class ToRgb(nn.Module):
    def __init__(self, c_in: int, latent: int, up: bool) -> None:
        super().__init__()
        self.conv = Modulated(c_in, 3, 1, latent, False, False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        if up:
            self.upsample = Filter(2, (2, 1))

    def forward(self, x: Tensor, w: Tensor, skip: Tensor | None) -> Tensor:
        y = self.conv(x, w) + self.bias
        return y if skip is None else y + self.upsample(skip)


class PixelNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(torch.mean(x**2, dim=1, keepdim=True) + 1e-8)


class Constant(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.zeros(1, channels, 4, 4))


class Gpen(nn.Module):
    """GPEN's FullGenerator with concatenated features, all levels of as many channels."""

    def __init__(self, size: int = 16, c: int = 8, d: int = 12) -> None:
        super().__init__()
        levels = int(math.log2(size)) - 2
        generator = nn.Module()
        generator.style = nn.Sequential(PixelNorm(), *(EqualLinear(d, d, 0.01, True) for _ in range(2)))
        generator.input = Constant(c)
        generator.conv1, generator.to_rgb1 = Styled(c, c, d, False), ToRgb(2 * c, d, False)
        generator.convs = nn.ModuleList(Styled(2 * c, c, d, i % 2 == 0) for i in range(2 * levels))
        generator.to_rgbs = nn.ModuleList(ToRgb(2 * c, d, True) for _ in range(levels))
        self.generator, self.levels = generator, levels
        self.ecd0 = nn.Sequential(nn.Sequential(EqualConv(3, c, 1), Activation(c)))
        for i in range(1, levels + 1):
            block = nn.Sequential(Filter(1, (2, 2)), EqualConv(c, c, 3, 2), Activation(c))
            setattr(self, f"ecd{i}", nn.Sequential(block))
        self.final_linear = nn.Sequential(EqualLinear(16 * c, d, 1.0, True))

    def forward(self, x: Tensor) -> Tensor:
        features = []
        for i in range(self.levels + 1):
            x = getattr(self, f"ecd{i}")(x)
            features.insert(0, x)
        net = self.generator
        w = net.style(self.final_linear(x.flatten(1)))
        w = w.unsqueeze(1).repeat(1, 2 * self.levels + 2, 1)
        x = net.conv1(net.input.input.repeat(1, 1, 1, 1), w[:, 0], features[0])
        rgb = net.to_rgb1(x, w[:, 1], None)
        for i, feature in enumerate(features[1:]):
            x = net.convs[2 * i](x, w[:, 2 * i + 1], feature)
            x = net.convs[2 * i + 1](x, w[:, 2 * i + 2], feature)
            rgb = net.to_rgbs[i](x, w[:, 2 * i + 3], rgb)
        return rgb


def gpen() -> tuple[nn.Module, nn.Module, int]:
    net = Gpen()
    return net, net, 16


# What the picture does not depend on, so that no export holds it.
UNUSED = {
    "gfpgan": r"toRGB\.|stylegan_decoder\.style_mlp",
    "restoreformer": r"encoder\..*attn.*\.norm2\.",
    "codeformer-plain": r"fuse_convs_dict",
    "bisenet": r"conv_out(16|32)\.",
    "span": r"\.(conv\.\d|sk)\.",
}
# What exporting changes: convolutions with the normalisation that is folded into them.
CHANGED = {"parsenet": r"\.conv[12]\.", "nafnet-simplified": r"\.conv[35]\.|beta|gamma"}
CASES = {
    "gfpgan": (gfpgan, 11, True, True),
    "gpen": (gpen, 17, True, False),
    "gpen-simplified": (gpen, 11, True, True),
    "restoreformer": (restoreformer, 11, True, False),
    "codeformer": (codeformer, 17, True, True),
    "codeformer-plain": (lambda: codeformer(False, 0.0), 11, False, False),
    "retinaface": (retinaface, 11, False, False),
    "parsenet": (parsenet, 17, True, False),
    "bisenet": (bisenet, 11, False, False),
    "span": (span, 17, True, True),
    "nafnet": (nafnet, 11, False, False),
    "nafnet-simplified": (nafnet, 17, True, True),
}


def unused(case: str, name: str) -> bool:
    return "num_batches_tracked" in name or case in UNUSED and re.search(UNUSED[case], name) is not None


def export(case: str, folder: Path) -> None:
    make, opset, fold, simplify = CASES[case]
    net, entry, size = make()
    lines = []
    with torch.no_grad():
        for i, (name, tensor) in enumerate(net.state_dict().items()):
            value = (i + 1) / 256
            if tensor.is_floating_point():
                tensor.fill_(value)
            dims = " ".join(map(str, tensor.shape))
            if re.search(r"stylegan_decoder.*(noise\d|style_conv.*\d\.weight$)", name):
                # Exporters multiply noise with its strength.
                if not name.endswith("modulation.weight") and "modulated_conv" not in name:
                    value = ""
            if case in CHANGED and re.search(CHANGED[case], name):
                value = ""
            if not unused(case, name):
                lines.append(f"{name} {value} {dims}\n")
    path = folder / f"{case}.onnx"
    torch.onnx.export(
        entry.eval(), (torch.zeros(1, 3, size, size),), path, opset_version=opset, dynamo=False,
        do_constant_folding=fold, input_names=["input"],
    )
    model = onnx.load(path)
    if simplify:
        model, _ = onnxsim.simplify(model)
    for node in model.graph.node:
        node.ClearField("doc_string")
    path.unlink()
    packed = gzip.compress(model.SerializeToString(), 9, mtime=0)
    (folder / f"{case}.onnx.gz").write_bytes(packed)
    (folder / f"{case}.txt").write_text("".join(lines))
    print(case, len(model.graph.node), "layers,", len(packed), "bytes")


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "nameless/exported")
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    folder.mkdir(parents=True, exist_ok=True)
    for package in ["basicsr", "gfpgan", "facexlib", "codeformer"]:
        stand_in(package)
    parts = ["facexlib.detection", "facexlib.parsing", "facexlib.utils"]
    for package in ["gfpgan.archs", *parts, "codeformer.basicsr"]:
        stand_in(package)
    stand_in("codeformer.basicsr.archs")
    for package in ["basicsr.utils", "codeformer.basicsr.utils"]:
        stand_in(package, get_root_logger=lambda: None)
        stand_in(f"{package}.registry", ARCH_REGISTRY=Registry())
    unneeded = ["get_reference_facial_points", "warp_and_crop_face"]
    stand_in("facexlib.detection.align_trans", **dict.fromkeys(unneeded, lambda **_: None))
    stand_in("basicsr.archs")
    stand_in("basicsr.archs.arch_util", default_init_weights=lambda *_, **__: None)
    stand_in("cv2")
    for case in CASES:
        if case.startswith(only):
            export(case, folder)


if __name__ == "__main__":
    main()
