"""Lays pictures out as a table: one row per folder, one column per file name.

    python tools/contact_sheet.py docs/first-light.jpg degraded restored original --below photo.png photo_x4.png

    python tools/contact_sheet.py docs/photos.jpg photos restored --columns 6 --bands 2 --cell 176

Needs Pillow. Pictures of one table are scaled to fit the same square cell; names beyond `--columns`
go on in further `--bands` below. Pictures after `--below` follow in a row of their own, as high as
they are wide together with the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageOps

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
GAP = 4


def pictures(folder: Path) -> dict[str, Path]:
    """Pictures of a folder by the part of their name before the first dot."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    return {p.name.split(".")[0]: p for p in files}


def table(folders: list[Path], columns: int, bands: int, cell: int) -> Image.Image:
    """Bands of one row per folder, one column per name that all folders have."""
    rows = [pictures(folder) for folder in folders]
    names = [name for name in rows[0] if all(name in row for row in rows)][: columns * bands]
    if not names:
        raise SystemExit("the folders have no picture in common")
    columns, bands = min(columns, len(names)), -(-len(names) // columns)
    step = cell + GAP
    height = bands * (step * len(rows) + GAP) - 2 * GAP
    sheet = Image.new("RGB", (step * columns - GAP, height), "white")
    for i, name in enumerate(names):
        band, x = divmod(i, columns)
        for y, row in enumerate(rows):
            with Image.open(row[name]) as opened:
                picture = opened.convert("RGB")
            picture = ImageOps.pad(picture, (cell, cell), Image.Resampling.LANCZOS, "white")
            sheet.paste(picture, (x * step, band * (step * len(rows) + GAP) + y * step))
    return sheet


def row(files: list[Path], width: int) -> Image.Image:
    """Pictures side by side, together `width` wide, each enlarged without smoothing."""
    each = (width - GAP * (len(files) - 1)) // len(files)
    opened = [Image.open(file).convert("RGB") for file in files]
    height = max(each * p.height // p.width for p in opened)
    sheet = Image.new("RGB", (width, height), "white")
    for x, picture in enumerate(opened):
        filter_ = Image.Resampling.NEAREST if picture.width < each else Image.Resampling.LANCZOS
        scaled = picture.resize((each, each * picture.height // picture.width), filter_)
        sheet.paste(scaled, (x * (each + GAP), 0))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--bands", type=int, default=1)
    parser.add_argument("--cell", type=int, default=192, help="side of a picture in pixels")
    parser.add_argument("--below", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    sheet = table(args.folders, args.columns, args.bands, args.cell)
    if args.below:
        below = row(args.below, sheet.width)
        both = Image.new("RGB", (sheet.width, sheet.height + 3 * GAP + below.height), "white")
        both.paste(sheet, (0, 0))
        both.paste(below, (0, sheet.height + 3 * GAP))
        sheet = both
    sheet.save(args.output, optimize=True, quality=90)


if __name__ == "__main__":
    main()
