#!/usr/bin/env python3
"""Draw the program's icon in every size from build/icons/deskside.svg. Needs rsvg-convert (librsvg2-bin).

    .venv/bin/python build/icons.py

Writes deskside-SIZE.png for Linux, deskside.ico for Windows and deskside.icns for macOS beside the source,
and the one that the program brings into shell/. They are committed: who builds an installer needs no
program that draws.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parent / "icons"
SOURCE = FOLDER / "deskside.svg"
PROGRAM = FOLDER.parents[1] / "shell" / "deskside" / "shell" / "deskside.png"
PROGRAM_SIZE = 128
PNG_SIZES = (16, 24, 32, 48, 64, 128, 256, 512)
ICO_SIZES = (16, 20, 24, 32, 40, 48, 64, 256)
# Points; an .icns file holds each for plain and for dense screens.
ICNS_SIZES = (16, 32, 128, 256, 512)
# Apple's grid leaves a margin around the rounded square: 824 of 1,024.
ICNS_FILLED = 824 / 1024


def main() -> int:
    if not shutil.which("rsvg-convert"):
        print("rsvg-convert draws the icon: install it (apt install librsvg2-bin), then run this again.")
        return 1
    for size in PNG_SIZES:
        drawn(size).save(FOLDER / f"deskside-{size}.png", optimize=True)
    drawn(PROGRAM_SIZE).save(PROGRAM, optimize=True)
    # Each size is drawn by itself: made smaller from the largest, the desk would be a grey line.
    ico = [drawn(size) for size in ICO_SIZES]
    ico[-1].save(
        FOLDER / "deskside.ico",
        sizes=[image.size for image in ico],
        append_images=ico[:-1],
        bitmap_format="png",
    )
    icns = [with_margin(size * scale) for size in ICNS_SIZES for scale in (1, 2)]
    icns[-1].save(FOLDER / "deskside.icns", append_images=icns[:-1])
    return 0


def drawn(size: int) -> Image.Image:
    """The icon, `size` pixels wide and high."""
    command = ["rsvg-convert", "--width", str(size), "--height", str(size), str(SOURCE)]
    png = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return Image.open(io.BytesIO(png)).convert("RGBA")


def with_margin(size: int) -> Image.Image:
    """The icon inside a clear margin, `size` pixels with it."""
    # An even margin on both sides keeps the edges sharp.
    margin = round(size * (1 - ICNS_FILLED) / 2)
    canvas = Image.new("RGBA", (size, size))
    canvas.paste(drawn(size - 2 * margin), (margin, margin))
    return canvas


if __name__ == "__main__":
    sys.exit(main())
