"""Makes 500 pictures without a human face: what a face detector must not take for one.

    python tools/faces/negatives.py negatives --scenes shared/data/scenes

Needs numpy, Pillow, scikit-image and scikit-learn (their sample photographs, public domain or CC0)
and the font Noto Color Emoji (OFL; `apt install fonts-noto-color-emoji`). `--scenes` is a folder of
pictures with `landmarks.json`; what lies below their faces is taken. The same call makes the same
bytes.

| name | pictures | what |
|---|---|---|
| photo | 120 | parts of photographs: a cat, flowers, a palace, a rocket, a motorcycle, coins, brick, grass, ... |
| drawn | 150 | animals, plants, fruit, shoes, signs, clocks and sockets of an emoji font, sharp to blurred |
| round | 90 | knobs, buttons, wheels and balls: shaded rounds on wood, cloth or plain ground |
| shape | 60 | two dots and a bar, rings and crosses: signs that resemble a face |
| texture | 40 | noise, bark, stripes, checks, clouds |
| body | 40 | clothes and hands below the faces of scenes |
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
# The only size that the font has.
FONT_SIZE = 109
# No people, no faces of people, no moons and suns with a face.
DRAWN = (
    "🐵🐒🦍🦧🐶🐕🦮🐩🐺🦊🦝🐱🐈🦁🐯🐅🐆🐴🐎🦄🦓🦌🐮🐂🐃🐄🐷🐖🐗🐽🐏🐑🐐🐪🦙🦒🐘🦏🦛🐭🐁🐹🐰🐇🐿🦔🦇🐻🐨🐼🦥🦦🐾🦃🐔"
    "🐣🐤🐦🐧🕊🦅🦆🦢🦉🦜🐸🐊🐢🦎🐍🐲🐉🐳🐋🐬🐟🐠🐡🦈🐙🐚🐌🦋🐛🐜🐝🐞🦗🕷🦂💐🌸💮🏵🌹🥀🌺🌻🌼🌷🌱🌲🌳🌴🌵🌾🍀🍁🍂🍇🍈🍉🍊🍋🍌🍍🥭🍎"
    "🍐🍑🍒🍓🥝🍅🥥🥑🍆🥔🥕🌽🥦🍄🥜🌰🍞🥐🥯🧀🍔🍟🍕🌭🍩🍪🎂👞👟🥾👠👢🛑🚧🚥🚦⛔🚫🔌🔘🎛📻📷🎥☎🕰⏰⌚🧭🪙🔔🎱⚽🏀🏈🎳🎯🎲🧩🚗🚕🚲🛵🚂🚀🏠🏰⛩🗿"
)
SIDES = (256, 384, 512, 640)


def resized(picture: Image.Image, side: int) -> Image.Image:
    return picture.resize((side, side), Image.Resampling.BICUBIC)


def damaged(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """A third as it is, a third shrunk and enlarged again, a third with noise; a fifth is gray."""
    width, height = picture.size
    kind = random.integers(3)
    if kind == 1:
        factor = int(random.choice([2, 4, 8]))
        small = (max(16, width // factor), max(16, height // factor))
        picture = picture.resize(small, Image.Resampling.BICUBIC).resize((width, height), Image.Resampling.BICUBIC)
    if kind == 2:
        values = np.asarray(picture, np.float32) + random.normal(0, random.uniform(2, 12), (height, width, 1))
        picture = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    return picture.convert("L").convert("RGB") if random.random() < 0.2 else picture


def photographs() -> list[Image.Image]:
    import skimage.data
    import sklearn.datasets

    folder = Path(os.path.dirname(skimage.data.__file__))
    names = (
        "brick cell chelsea clock_motion coffee coins color grass gravel horse ihc logo microaneurysms moon "
        "motorcycle_left page phantom text chessboard_RGB"
    ).split()
    paths = [folder / f"{name}.png" for name in names]
    paths += [folder / f"{name}.jpg" for name in ("hubble_deep_field", "retina", "rocket")]
    found = [Image.open(path).convert("RGB") for path in paths if path.exists()]
    return found + [Image.fromarray(image) for image in sklearn.datasets.load_sample_images().images]


def part(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """A square of a picture, turned and mirrored."""
    side = int(min(picture.size) * random.choice([0.25, 0.4, 0.6, 0.8, 1.0]))
    left, top = (int(random.integers(0, end - side + 1)) for end in picture.size)
    square = picture.crop((left, top, left + side, top + side))
    if random.random() < 0.5:
        square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return resized(square, int(random.choice(SIDES)))


def ground(side: int, random: np.random.Generator) -> Image.Image:
    """Plain, a slope, or noise of some scale, in one or two colours."""
    first, second = random.integers(20, 236, (2, 3)).astype(np.float32)
    kind = random.integers(4)
    if kind == 0:
        mix = np.zeros((side, side))
    elif kind == 1:
        mix = np.add.outer(np.linspace(0, random.uniform(-1, 1), side), np.linspace(0, random.uniform(-1, 1), side))
    else:
        # Wood is noise that is stretched along an axis.
        rows, columns = int(random.integers(3, 40)), int(random.integers(3, 40))
        if kind == 3:
            rows, columns = 4, 120
        noise = Image.fromarray(random.random((rows, columns)).astype(np.float32))
        mix = np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC))
    picture = first + (second - first) * np.asarray(mix)[:, :, None].clip(0, 1)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def drawn(sign: str, random: np.random.Generator) -> Image.Image:
    font = ImageFont.truetype(FONT, FONT_SIZE)
    layer = Image.new("RGBA", (136, 128), (0, 0, 0, 0))
    ImageDraw.Draw(layer).text((0, 0), sign, font=font, embedded_color=True)
    side = int(random.choice(SIDES))
    size = int(side * random.uniform(0.3, 0.95))
    layer = layer.resize((size, size), Image.Resampling.BICUBIC).rotate(random.uniform(-20, 20), Image.Resampling.BICUBIC)
    layer = layer.filter(ImageFilter.GaussianBlur(size * random.uniform(0.0, 0.03)))
    picture = ground(side, random)
    place = tuple(int(random.integers(0, side - size + 1)) for _ in range(2))
    picture.paste(layer, place, layer)
    return picture


def rounded(random: np.random.Generator) -> Image.Image:
    """A ball, a knob or a button with holes, lit from a side."""
    side = int(random.choice(SIDES))
    picture = np.asarray(ground(side, random), np.float32).copy()
    radius = side * random.uniform(0.15, 0.45)
    centre = random.uniform(0.35, 0.65, 2) * side
    rows, columns = np.mgrid[:side, :side]
    y, x = (rows - centre[0]) / radius, (columns - centre[1]) / radius / random.uniform(0.75, 1.1)
    depth = np.sqrt(np.clip(1 - x * x - y * y, 0, 1))
    light = random.normal(size=3)
    light /= np.linalg.norm(light)
    shade = 0.35 + 0.65 * np.clip(light[0] * x + light[1] * y + abs(light[2]) * depth, 0, 1)
    gloss = np.clip(light[0] * x + light[1] * y + abs(light[2]) * depth, 0, 1) ** 30
    colour = random.integers(60, 256, 3)
    surface = colour * shade[:, :, None] + 200 * random.random() * gloss[:, :, None]
    for _ in range(int(random.choice([0, 2, 2, 3, 4, 5]))):
        # Holes, screws, rings: wherever they like.
        angle, far = random.uniform(0, 2 * np.pi), random.uniform(0.2, 0.6)
        hole = np.hypot(x - far * np.cos(angle), y - far * np.sin(angle)) < random.uniform(0.05, 0.18)
        surface[hole] *= random.uniform(0.1, 0.6)
    if random.random() < 0.5:
        surface[np.abs(np.hypot(x, y) - random.uniform(0.5, 0.9)) < 0.04] *= 0.5
    alpha = np.clip((1 - np.hypot(x, y)) * radius, 0, 1)[:, :, None]
    picture += alpha * (surface - picture)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(random.uniform(0, 3)))


def shape(random: np.random.Generator) -> Image.Image:
    side = int(random.choice(SIDES))
    picture = ground(side, random)
    draw = ImageDraw.Draw(picture)

    def colour() -> tuple[int, ...]:
        return tuple(int(v) for v in random.integers(0, 256, 3))

    def box(x: float, y: float, r: float) -> tuple[float, ...]:
        return tuple(side * v for v in (x - r, y - r, x + r, y + r))

    if random.random() < 0.7:
        outer = box(0.5, 0.5, random.uniform(0.3, 0.45))
        (draw.ellipse if random.random() < 0.5 else draw.rectangle)(outer, fill=colour(), outline=colour(), width=side // 40)
    dots, gap, height = colour(), random.uniform(0.08, 0.2), random.uniform(0.35, 0.5)
    for x in (0.5 - gap, 0.5 + gap):
        draw.ellipse(box(x, height, random.uniform(0.02, 0.08)), fill=dots)
    bar = [side * v for v in (0.5 - gap, random.uniform(0.6, 0.65), 0.5 + gap, random.uniform(0.66, 0.7))]
    draw.rectangle(bar, fill=colour())
    return picture.filter(ImageFilter.GaussianBlur(random.uniform(0, 0.02) * side))


def texture(random: np.random.Generator) -> Image.Image:
    side = int(random.choice(SIDES))
    sum_ = np.zeros((side, side, 3), np.float32)
    for octave in range(int(random.integers(1, 7))):
        cells = 2 ** (octave + int(random.integers(1, 3)))
        for channel in range(3):
            noise = random.normal(size=(cells, max(1, int(cells * random.uniform(0.3, 1))))).astype(np.float32)
            layer = Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)
            sum_[:, :, channel] += np.asarray(layer) * random.uniform(10, 50)
    if random.random() < 0.4:
        period = side / random.integers(4, 40)
        wave = np.sin(np.arange(side) * 2 * np.pi / period) * 60
        sum_ += wave[:, None, None] if random.random() < 0.5 else (wave[:, None] * wave[None, :] / 60)[:, :, None]
    return Image.fromarray((sum_ + random.integers(70, 180, 3)).clip(0, 255).astype(np.uint8))


def bodies(folder: Path, count: int, random: np.random.Generator) -> list[Image.Image]:
    """Squares of scenes that begin three eye distances below the middle of the face."""
    labels = json.loads((folder / "landmarks.json").read_text())
    names = sorted(labels)
    random.shuffle(names)
    found = []
    for name in names:
        picture = Image.open(folder / name).convert("RGB")
        points = np.array(labels[name]["landmarks"])
        length = max(np.linalg.norm(points[0] - points[1]), np.linalg.norm((points[0] + points[1] - points[3] - points[4]) / 2))
        top = int(points[:, 1].mean() + 3.2 * length)
        side = picture.height - top
        if side < 90 or len(found) == count:
            continue
        left = max(0, (picture.width - side) // 2)
        found.append(picture.crop((left, top, left + min(side, picture.width), top + side)).resize((512, 512), Image.Resampling.BICUBIC))
    return found


def negatives(scenes: Path) -> dict[str, Image.Image]:
    random = np.random.default_rng(26)
    pictures: dict[str, Image.Image] = {}

    def add(kind: str, made: list[Image.Image]) -> None:
        pictures.update({f"{kind}_{i:03}": damaged(picture, random) for i, picture in enumerate(made)})

    sources = photographs()
    add("photo", [part(sources[i % len(sources)], random) for i in range(120)])
    add("drawn", [drawn(DRAWN[i], random) for i in random.permutation(len(DRAWN))[:150]])
    add("round", [rounded(random) for _ in range(90)])
    add("shape", [shape(random) for _ in range(60)])
    add("texture", [texture(random) for _ in range(40)])
    add("body", bodies(scenes, 40, random))
    return pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", type=Path, required=True, help="a folder of pictures with landmarks.json")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, picture in negatives(options.scenes).items():
        picture.save(options.folder / f"{name}.png")


if __name__ == "__main__":
    main()
