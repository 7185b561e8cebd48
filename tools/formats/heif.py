"""HEIC and AVIF files of the matrix. Their encoders are x265 (by heif-enc and pillow-heif) and libaom (by avifenc);
the oracles are libheif and libavif (by heif-convert and avifdec). What these encoders do not write,
grids of HEVC tiles and turned HEIC, is put together here from what they do write.
"""

import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image


def box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I", 8 + len(data)) + kind + data


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def boxes(data: bytes):
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at + 8 : at + size]
        at += size


def find(data: bytes, *path: bytes) -> bytes:
    for kind in path:
        data = next(body for name, body in boxes(data) if name == kind)
        data = data[4:] if kind == b"meta" else data
    return data


def coded(heic: bytes) -> tuple[bytes, bytes]:
    """The decoder's configuration and the data of a file with one picture."""
    config = find(heic, b"meta", b"iprp", b"ipco", b"hvcC")
    return box(b"hvcC", config), find(heic, b"mdat")


def ispe(width: int, height: int) -> bytes:
    return full(b"ispe", 0, 0, struct.pack(">II", width, height))


def container(items: list, references: list = [], brand: bytes = b"heic") -> bytes:
    """A file of items: kind, data, hidden or not, boxes of properties. The first is the primary one."""
    properties: list[bytes] = []
    infe, iloc, ipma = b"", b"", b""
    offsets, data = [], b""
    for number, (kind, payload, hidden, own) in enumerate(items, 1):
        infe += full(b"infe", 2, int(hidden), struct.pack(">HH", number, 0), kind, b"\0", *([b"application/rdf+xml\0"] if kind == b"mime" else []))
        indices = []
        for prop in own:
            if prop not in properties:
                properties.append(prop)
            essential = prop[4:8] in (b"hvcC", b"av01", b"irot", b"imir", b"clap")
            indices.append(properties.index(prop) + 1 | (0x80 if essential else 0))
        ipma += struct.pack(">HB", number, len(indices)) + bytes(indices)
        offsets.append((len(data), len(payload)))
        data += payload
    iref = b"".join(
        box(kind, struct.pack(">HH", start, len(ends)), *(struct.pack(">H", end) for end in ends))
        for kind, start, ends in references
    )

    def meta(base: int) -> bytes:
        iloc = b"".join(struct.pack(">HHHII", n, 0, 1, base + at, size) for n, (at, size) in enumerate(offsets, 1))
        return full(
            b"meta", 0, 0,
            full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
            full(b"pitm", 0, 0, struct.pack(">H", 1)),
            full(b"iloc", 0, 0, b"\x44\0", struct.pack(">H", len(offsets)), iloc),
            full(b"iinf", 0, 0, struct.pack(">H", len(items)), infe),
            *([full(b"iref", 0, 0, iref)] if iref else []),
            box(b"iprp", box(b"ipco", *properties), full(b"ipma", 0, 0, struct.pack(">I", len(items)), ipma)),
        )

    head = box(b"ftyp", brand, bytes(4), b"mif1", brand)
    base = len(head) + len(meta(0)) + 8
    return head + meta(base) + box(b"mdat", data)


def png(picture: np.ndarray, path: Path) -> Path:
    if picture.dtype == np.uint16:
        import imagecodecs

        path.write_bytes(imagecodecs.png_encode(picture))
    else:
        Image.fromarray(picture).save(path)
    return path


def read_png(path: Path) -> np.ndarray:
    import imagecodecs

    pixels = imagecodecs.png_decode(path.read_bytes())
    return np.repeat(pixels[..., None], 3, -1) if pixels.ndim == 2 else pixels


def run(*command) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def make(out: Path, note, smooth: np.ndarray, alpha: np.ndarray) -> None:
    """`smooth`: `[H, W, 3]` of 8 bits without edges, because oracles enlarge chroma in other ways."""
    work = Path(tempfile.mkdtemp())
    height, width, _ = smooth.shape
    deep = smooth.astype(np.uint16) * 257
    rgba = np.dstack([smooth, alpha])
    plain, see_through = png(smooth, work / "a.png"), png(rgba, work / "alpha.png")
    sixteen = png(deep, work / "deep.png")

    def heif_enc(name: str, source: Path, *options) -> bytes:
        run("heif-enc", *options, "-o", work / name, source)
        return (work / name).read_bytes()

    def heic(name: str, what: str, data: bytes, tolerance: int, shown: np.ndarray | None = None) -> np.ndarray:
        (out / name).write_bytes(data)
        if shown is None:
            run("heif-convert", out / name, work / "shown.png")
            shown = read_png(work / "shown.png")
        if shown.dtype == np.uint16:
            # libheif repeats the highest bits, which rounds another way.
            tolerance *= 257
        note(name, f"HEIC, {what}", shown, tolerance)
        return shown

    chroma = lambda kind: ("-p", f"chroma={kind}")
    for kind in ["420", "422", "444"]:
        heic(f"{kind}.heic", f"4:{kind[1]}:{kind[2]}", heif_enc("a.heic", plain, "-q", 80, *chroma(kind)), 8)
    heic("lossless.heic", "RGB, lossless", heif_enc("a.heic", plain, "-L", *chroma("444"), "--matrix_coefficients", 0), 0)
    pillow_heif.from_pillow(Image.fromarray(smooth)).save(
        work / "limited.heic", quality=80, chroma=444, color_primaries=1, transfer_characteristics=13, matrix_coefficients=1, full_range_flag=0
    )
    heic("limited.heic", "BT.709, limited range", (work / "limited.heic").read_bytes(), 2)
    heic("alpha.heic", "with transparency", heif_enc("a.heic", see_through, "-q", 80, *chroma("444")), 2)
    heic("10-bit.heic", "10 bits", heif_enc("a.heic", sixteen, "-q", 90, "-b", 10, *chroma("444")), 2)

    # Tiles as phones write them, turned as phones write them.
    large = np.asarray(Image.fromarray(smooth).resize((128, 128), Image.Resampling.BICUBIC))
    tiles = [large[y : y + 64, x : x + 64] for y in (0, 64) for x in (0, 64)]
    parts = [coded(heif_enc("a.heic", png(np.ascontiguousarray(tile), work / "t.png"), "-q", 80, *chroma("420"))) for tile in tiles]
    nclx = box(b"colr", b"nclx", struct.pack(">HHHB", 1, 13, 6, 0x80))
    grid = bytes([0, 0, 1, 1]) + struct.pack(">HH", 120, 100)
    tile_items = [(b"hvc1", data, True, [config, ispe(64, 64), nclx]) for config, data in parts]
    references = [(b"dimg", 1, [2, 3, 4, 5])]
    upright = None
    for name, what, turned in [
        ("grid.heic", "a grid of tiles", []),
        ("grid-turned.heic", "a grid of tiles, turned to the left", [box(b"irot", b"\1")]),
        ("grid-mirrored.heic", "a grid of tiles, turned and mirrored", [box(b"irot", b"\2"), box(b"imir", b"\1")]),
    ]:
        data = container([(b"grid", grid, False, [ispe(120, 100), nclx, *turned]), *tile_items], references)
        pixels = heic(name, what, data, 8)
        upright = pixels if name == "grid.heic" else upright
    config, data = parts[0]
    clap = box(b"clap", struct.pack(">8i", 40, 1, 20, 1, -2, 1, 4, 1))
    heic("cut.heic", "cut to its clean aperture", container([(b"hvc1", data, False, [config, ispe(64, 64), nclx, clap])]), 8)

    # All that a phone puts into a photo: EXIF says the turn that the file applies.
    exif = b"MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x01\x3b\0\x02\0\0\0\x09\0\0\0\x26\0\0\0\0Aunt May\0"
    profile = box(b"colr", b"prof", bytes(16) + b"RGB " + bytes(108))
    gain_map = full(b"auxC", 0, 0, b"urn:com:apple:photo:2020:aux:hdrgainmap\0")
    single = (config, ispe(64, 64))
    data = container(
        [
            (b"grid", grid, False, [ispe(120, 100), profile, nclx, box(b"irot", b"\3")]),
            *tile_items,
            (b"hvc1", parts[1][1], False, single),
            (b"hvc1", parts[1][1], True, [*single, gain_map]),
            (b"hvc1", parts[2][1], False, single),
            (b"Exif", struct.pack(">I", 6) + b"Exif\0\0" + exif, True, []),
            (b"mime", b"<x:xmpmeta>wedding</x:xmpmeta>", True, []),
        ],
        [*references, (b"thmb", 6, [1]), (b"auxl", 7, [1]), (b"cdsc", 9, [1]), (b"cdsc", 10, [1])],
    )
    heic("phone.heic", "a photo of a phone, with all that belongs to it", data, 8, np.rot90(upright, 3))

    def avif(name: str, what: str, source: Path, *options, tolerance: int = 0, show=lambda pixels: pixels) -> None:
        """avifdec neither cuts nor turns: `show` does."""
        run("avifenc", "-s", 8, *options, source, out / name)
        run("avifdec", "-u", "bilinear", out / name, work / "shown.png")
        shown = show(read_png(work / "shown.png"))
        note(name, f"AVIF, {what}", shown, tolerance * 257 if shown.dtype == np.uint16 else tolerance)

    quality = ("--min", 10, "--max", 20)
    for kind in ["400", "420", "422", "444"]:
        avif(f"{kind}.avif", f"4:{kind[1]}:{kind[2]}", plain, "-y", kind, *quality, tolerance=2)
    avif("lossless.avif", "RGB, lossless", plain, "-l", tolerance=0)
    avif("limited.avif", "BT.709, limited range", plain, "-y", "444", "-r", "limited", "--cicp", "1/13/1", *quality, tolerance=7)
    avif("2020.avif", "BT.2020", plain, "-y", "444", "--cicp", "9/14/9", *quality, tolerance=2)
    avif("alpha.avif", "with transparency", see_through, "-y", "444", *quality, tolerance=2)
    avif("premultiplied.avif", "multiplied by its transparency", see_through, "-p", "-y", "444", "--min", 0, "--max", 2, tolerance=8)
    for depth in [10, 12]:
        avif(f"{depth}-bit.avif", f"{depth} bits", sixteen, "-d", depth, "-y", "444", *quality, tolerance=2)
    avif("12-bit-420.avif", "12 bits, 4:2:0", sixteen, "-d", 12, "-y", "420", *quality, tolerance=2)
    avif("turned.avif", "turned to the left", plain, "--irot", 1, "-y", "444", *quality, tolerance=2, show=np.rot90)
    avif("mirrored.avif", "turned and mirrored", plain, "--irot", 3, "--imir", 0, "-y", "444", *quality, tolerance=2, show=lambda p: np.flipud(np.rot90(p, 3)))
    avif("cut.avif", "cut to its clean aperture", plain, "--crop", "3,2,11,10", "-y", "444", *quality, tolerance=2, show=lambda p: p[2:12, 3:14])
    big = np.asarray(Image.fromarray(smooth).resize((128, 192), Image.Resampling.BICUBIC))
    avif("grid.avif", "a grid of tiles", png(big, work / "big.png"), "-g", "2x3", "-y", "420", *quality, tolerance=2)
    avif("tiles.avif", "AV1's own tiles", png(big, work / "big.png"), "--tilecolslog2", 1, "--tilerowslog2", 1, "-y", "420", *quality, tolerance=2)
    avif("grain.avif", "film grain", plain, "-a", "film-grain-test=1", "-y", "420", *quality, tolerance=6)
