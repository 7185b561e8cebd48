"""Makes the matrix of layouts that tests/photo/formats.rs reads: small files, and in files.tsv what
they are and what they show.

    python tools/formats/make.py tests/photo/formats

Needs numpy, Pillow, tifffile and imagecodecs, and the programs cjpeg, djpeg (libjpeg-turbo) and
tiff2rgba (libtiff), which are the oracles: a JPEG's pixels are those of djpeg; those of a lossless
TIFF are what was put in; those of the rest are libtiff's. For HEIC and AVIF, see heif.py.
"""

import itertools
import subprocess
import sys
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

import heif

WIDTH, HEIGHT = 29, 21
rows: list[tuple] = []
out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
for old in out.iterdir():
    old.unlink()


def base() -> np.ndarray:
    """A picture with edges, gradients and some noise, `[HEIGHT, WIDTH, 3]`."""
    rng = np.random.default_rng(24)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [128 + 100 * np.sin(x / 5) * np.cos(y / 4), 128 + 90 * np.cos(x / 3 + y / 6), x * 6 + y * 4]
    picture = np.stack(planes, -1) + rng.normal(0, 3, (HEIGHT, WIDTH, 3))
    picture[6:14, 9:17] = [250, 20, 60]
    return np.clip(picture, 0, 255).astype(np.uint8)


PICTURE = base()
GRAY = PICTURE[..., 1]
ALPHA = (np.mgrid[:HEIGHT, :WIDTH][1] * 255 // (WIDTH - 1)).astype(np.uint8)


def note(name: str, what: str, expected: np.ndarray, tolerance: int = 0) -> None:
    """One row: `expected` is `[HEIGHT, WIDTH, 3 or 4]`, of 8 or 16 bits."""
    bits = 8 * expected.dtype.itemsize
    height, width, channels = expected.shape
    data = np.ascontiguousarray(expected.astype(f">u{bits // 8}")).tobytes()
    if tolerance:
        (out / (name + ".expected")).write_bytes(zlib.compress(data, 9))
    hole = hole_is_noticed(name) if name.endswith(".jpg") else "-"
    rows.append((name, what, width, height, channels, bits, tolerance, f"{zlib.crc32(data):08x}", hole))


def hole_is_noticed(name: str) -> str:
    """Whether libjpeg warns of a file of which a sixth of the pixels' data are zeros."""
    data = bytearray((out / name).read_bytes())
    at = data.index(b"\xff\xda")
    start, end = at + 2 + data[at + 3], len(data) - 2
    first, last = start + (end - start) // 3, start + (end - start) // 2
    data[first:last] = bytes(last - first)
    djpeg = subprocess.run(["djpeg", "-rgb", "-pnm"], input=bytes(data), capture_output=True)
    return "noticed" if djpeg.stderr else "unnoticed"


def colour(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None], 3, -1)


def djpeg(path: Path) -> np.ndarray:
    ppm = subprocess.run(["djpeg", "-rgb", "-pnm", path], check=True, capture_output=True)
    assert not ppm.stderr, (path, ppm.stderr)
    pixels = np.frombuffer(ppm.stdout.split(b"\n", 3)[3], np.uint8)
    return pixels.reshape(HEIGHT, WIDTH, 3)


def jpegs() -> None:
    source = out / "source.ppm"
    Image.fromarray(PICTURE).save(source)
    apart, two = out / "apart.txt", out / "two.txt"
    apart.write_text("0;\n1;\n2;\n")
    two.write_text("0;\n1 2;\n")
    samplings = {
        "1x1": "1x1,1x1,1x1", "2x1": "2x1,1x1,1x1", "1x2": "1x2,1x1,1x1", "2x2": "2x2,1x1,1x1",
        "3x1": "3x1,1x1,1x1", "4x1": "4x1,1x1,1x1", "1x4": "1x4,1x1,1x1", "4x2": "4x2,1x1,1x1",
        "chroma-2x2": "1x1,2x2,2x2", "mixed": "2x2,2x1,1x2",
    }
    codings = {
        "baseline": [], "progressive": ["-progressive"], "arithmetic": ["-arithmetic"],
        "arithmetic-progressive": ["-arithmetic", "-progressive"],
    }
    scans = {"": [], "-apart": ["-scans", apart], "-two": ["-scans", two]}
    for (sampling, factors), (coding, options), (order, script), restart in itertools.product(
        samplings.items(), codings.items(), scans.items(), [False, True]
    ):
        common = sampling in ("1x1", "2x2", "2x1", "chroma-2x2")
        if order and ("progressive" in coding or not common):
            continue
        if restart and not common:
            continue
        name = f"{sampling}-{coding}{order}{'-restart' if restart else ''}.jpg"
        command = ["cjpeg", "-quality", "70", *([] if "arith" in coding else ["-optimize"]), "-sample", factors, *options, *script]
        command += ["-restart", "2B"] if restart else []
        subprocess.run([*command, "-outfile", out / name, source], check=True)
        what = f"luma and chroma {factors}, {coding}, {'a scan per component' if order == '-apart' else 'two scans' if order else 'usual scans'}, {'with' if restart else 'without'} restarts"
        note(name, what, djpeg(out / name))
    for (coding, options), (kind, option) in itertools.product(
        codings.items(), [("gray", ["-grayscale"]), ("gray-2x2", ["-grayscale", "-sample", "2x2"]), ("rgb", ["-rgb"])]
    ):
        name = f"{kind}-{coding}.jpg"
        command = ["cjpeg", "-quality", "70", *([] if "arith" in coding else ["-optimize"]), *option, *options]
        subprocess.run([*command, "-outfile", out / name, source], check=True)
        note(name, f"{kind}, {coding}", djpeg(out / name))
    for path in [source, apart, two]:
        path.unlink()


def tiff(name: str, what: str, data: np.ndarray, expected: np.ndarray, **options) -> None:
    tifffile.imwrite(out / name, data, metadata=None, software=False, **options)
    note(name, what, expected)


def tiffs() -> None:
    deep = PICTURE.astype(np.uint16) * 257 - (PICTURE > 7) * np.uint16(37)
    rgba = np.dstack([PICTURE, ALPHA])
    packings = [None, "lzw", "deflate", "packbits", "zstd"]
    for packing, tiled, planes, order in itertools.product(packings, [False, True], [False, True], "<>"):
        if order == ">" and packing not in (None, "lzw"):
            continue
        name = f"rgb-{packing or 'none'}{'-tiles' if tiled else ''}{'-planes' if planes else ''}{'-mm' if order == '>' else ''}.tif"
        what = f"RGB, 8 bits, {packing or 'not packed'}, {'tiles' if tiled else 'strips'}, {'a plane per colour' if planes else 'together'}, {'big' if order == '>' else 'little'} endian"
        data = np.moveaxis(PICTURE, -1, 0) if planes else PICTURE
        layout = dict(tile=(16, 16)) if tiled else dict(rowsperstrip=5)
        tiff(name, what, data, PICTURE, photometric="rgb", compression=packing, byteorder=order,
             planarconfig="separate" if planes else "contig", **layout)
    for packing, order, tiled in itertools.product(["lzw", "deflate"], "<>", [False, True]):
        end = f"{packing}{'-mm' if order == '>' else ''}{'-tiles' if tiled else ''}.tif"
        how = f"{packing}, {'tiles' if tiled else 'strips'}, {'big' if order == '>' else 'little'} endian"
        layout = dict(tile=(16, 16)) if tiled else dict(rowsperstrip=4)
        common = dict(photometric="rgb", compression=packing, byteorder=order, predictor=True, **layout)
        tiff(f"rgb-predictor-{end}", f"RGB, 8 bits, predictor, {how}", PICTURE, PICTURE, **common)
        tiff(f"rgb16-predictor-{end}", f"RGB, 16 bits, predictor, {how}", deep, deep, **common)
    float_gray = (GRAY / np.float32(255)).astype(np.float32)
    as_words = colour(np.floor(float_gray.astype(np.float64) * 65535 + 0.5).astype(np.uint16))
    for order, packing in itertools.product("<>", [None, "deflate"]):
        end = f"{packing or 'none'}{'-mm' if order == '>' else ''}.tif"
        tiff(f"float-{end}", f"gray, 32-bit float, {end}", float_gray, as_words, photometric="minisblack",
             compression=packing, byteorder=order, predictor=bool(packing))
        tiff(f"rgb16-{end}", f"RGB, 16 bits, {end}", deep, deep, photometric="rgb", compression=packing, byteorder=order)
    half = (GRAY / np.float32(255)).astype(np.float16)
    tiff("half.tif", "gray, 16-bit float", half, colour(np.floor(half.astype(np.float64) * 65535 + 0.5).astype(np.uint16)), photometric="minisblack")
    tiff("gray.tif", "gray, 8 bits", GRAY, colour(GRAY), photometric="minisblack")
    tiff("white-is-zero.tif", "gray, 8 bits, white is zero", 255 - GRAY, colour(GRAY), photometric="miniswhite")
    tiff("gray16.tif", "gray, 16 bits", deep[..., 1], colour(deep[..., 1]), photometric="minisblack")
    gray_alpha = np.dstack([GRAY, ALPHA])
    tiff("gray-alpha.tif", "gray with transparency", gray_alpha, np.dstack([colour(GRAY), ALPHA]),
         photometric="minisblack", extrasamples=["unassalpha"], planarconfig="contig")
    tiff("rgba.tif", "RGB with transparency", rgba, rgba, photometric="rgb", extrasamples=["unassalpha"])
    tiff("rgba-planes.tif", "RGB with transparency, planes", np.moveaxis(rgba, -1, 0), rgba, photometric="rgb",
         extrasamples=["unassalpha"], planarconfig="separate")
    alpha = ALPHA[..., None].astype(int)
    multiplied = (PICTURE.astype(int) * alpha + 127) // 255
    undone = np.where(alpha > 0, np.minimum(255, (multiplied * 255 + alpha // 2) // np.maximum(alpha, 1)), 0)
    tiff("rgba-premultiplied.tif", "RGB, multiplied by its transparency", np.dstack([multiplied, ALPHA]).astype(np.uint8),
         np.dstack([undone, ALPHA]).astype(np.uint8), photometric="rgb", extrasamples=["assocalpha"])
    tiff("rgbx.tif", "RGB with a sample of no meaning", rgba, PICTURE, photometric="rgb", extrasamples=["unspecified"])
    tiff("big.tif", "BigTIFF", PICTURE, PICTURE, photometric="rgb", bigtiff=True)
    tiff("big-tiles-mm.tif", "BigTIFF, tiles, lzw, big endian", PICTURE, PICTURE, photometric="rgb", bigtiff=True, tile=(16, 16), compression="lzw", byteorder=">")
    map16 = (np.random.default_rng(1).integers(0, 256, (3, 256)) * 257).astype(np.uint16)
    shown = np.moveaxis((map16 >> 8).astype(np.uint8)[:, GRAY], 0, -1)
    for packing in [None, "lzw"]:
        tiff(f"palette-{packing or 'none'}.tif", f"palette, {packing or 'not packed'}", GRAY, shown, photometric="palette", colormap=map16, compression=packing)
    bilevel = GRAY > 128
    for packing in ["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "group4"]:
        name = f"bilevel-{packing.removeprefix('tiff_')}.tif"
        Image.fromarray(bilevel).save(out / name, compression=None if packing == "raw" else packing)
        note(name, f"black and white, 1 bit, {packing}", colour(bilevel.astype(np.uint8) * 255))
    for sampling, planes in [((1, 1), "ycbcr"), ((2, 2), "ycbcr-2x2"), ((2, 1), "ycbcr-2x1")]:
        name = f"{planes}-jpeg.tif"
        tifffile.imwrite(out / name, PICTURE, photometric="ycbcr", compression="jpeg", compressionargs={"level": 85}, subsampling=sampling, tile=(32, 32), metadata=None, software=False)
        note(name, f"YCbCr, JPEG, subsampling {sampling}", libtiff(name), 2)
    tifffile.imwrite(out / "gray-jpeg.tif", GRAY, photometric="minisblack", compression="jpeg", compressionargs={"level": 85}, metadata=None, software=False)
    note("gray-jpeg.tif", "gray, JPEG", libtiff("gray-jpeg.tif"), 2)
    subprocess.run(["tiffcp", "-c", "jpeg:r:85", "-r", "8", out / "rgb-none.tif", out / "rgb-jpeg-strips.tif"], check=True)
    note("rgb-jpeg-strips.tif", "RGB kept as it is, JPEG, strips of 8 rows", libtiff("rgb-jpeg-strips.tif"), 2)
    subprocess.run(["tiffcp", "-c", "jpeg:85", "-r", "16", out / "rgb-none.tif", out / "ycbcr-jpeg-strips.tif"], check=True)
    note("ycbcr-jpeg-strips.tif", "YCbCr, JPEG with shared tables, strips of 16 rows", libtiff("ycbcr-jpeg-strips.tif"), 2)
    subprocess.run(["tiffcp", "-f", "lsb2msb", "-c", "g4", out / "bilevel-group4.tif", out / "bilevel-group4-reversed.tif"], check=True)
    note("bilevel-group4-reversed.tif", "black and white, Group 4, bits reversed", colour(bilevel.astype(np.uint8) * 255))


def libtiff(name: str) -> np.ndarray:
    """What libtiff shows, by its own way to RGBA."""
    subprocess.run(["tiff2rgba", "-c", "none", out / name, out / "rgba.tmp"], check=True, capture_output=True)
    pixels = tifffile.imread(out / "rgba.tmp")[..., :3]
    (out / "rgba.tmp").unlink()
    return pixels


def others() -> None:
    (out / "rgb.jxl").write_bytes(imagecodecs.jpegxl_encode(PICTURE, lossless=True))
    note("rgb.jxl", "JPEG XL, lossless, 8 bits", PICTURE)
    deep = PICTURE.astype(np.uint16) * 257
    (out / "rgb16.jxl").write_bytes(imagecodecs.jpegxl_encode(deep, lossless=True))
    note("rgb16.jxl", "JPEG XL, lossless, 16 bits", deep)
    (out / "lossy.jxl").write_bytes(imagecodecs.jpegxl_encode(PICTURE, distance=1.0))
    note("lossy.jxl", "JPEG XL, distance 1", imagecodecs.jpegxl_decode((out / "lossy.jxl").read_bytes()), 3)
    Image.fromarray(PICTURE).save(out / "a.gif")
    note("a.gif", "GIF", np.asarray(Image.open(out / "a.gif").convert("RGB")))


def smooth() -> np.ndarray:
    """A picture without edges: programs enlarge chroma in different ways."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [60 + x * 4 + y * 2, 200 - x * 3 + y, 40 + y * 8]
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


jpegs()
tiffs()
others()
heif.make(out, note, smooth(), ALPHA)
with (out / "files.tsv").open("w") as file:
    file.write("file\twhat\twidth\theight\tchannels\tbits\ttolerance\tcrc32\thole\n")
    for row in rows:
        file.write("\t".join(map(str, row)) + "\n")
print(len(rows), "files,", sum(p.stat().st_size for p in out.iterdir()), "bytes")
