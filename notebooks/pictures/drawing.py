"""Make drawing.gif, the picture at the top of README: a digit is drawn and read.

It draws on the pad of the committed report, in Chromium. Run it from the project's
root, with the environment active: python notebooks/pictures/drawing.py
"""

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

REPORT = Path(__file__).parents[1] / "report.html"
PARTS = (".draws", ".pictures figure >> nth=0", ".pictures figure >> nth=1")
SIZE, MARGIN = (690, 500), 12
STEP, REST = 70, 2500  # milliseconds that a frame stays, and the last of a stroke
COLOURS = 64
SPEED = 12  # degrees of an arc between two frames
# The strokes, as arcs: centre and radius in fractions of the pad, first and last angle.
TOP, BOTTOM = (0.48, 0.34, 0.15), (0.49, 0.67, 0.18)
STROKES = [
    [(*TOP, -160, 100), (*BOTTOM, -100, 140)],  # a 3
    [(*BOTTOM, 140, 262), (*TOP, 100, 200)],  # which becomes an 8
]


def list_places(stroke: list[tuple[float, ...]]) -> np.ndarray:
    """Return where the pen is in each frame, (N, 2), in fractions of the pad."""
    arcs = []
    for x, y, radius, first, last in stroke:
        angles = np.radians(np.linspace(first, last, round(abs(last - first) / SPEED)))
        arcs.append([x, y] + radius * np.column_stack([np.cos(angles), np.sin(angles)]))
    return np.concatenate(arcs)


def photograph(page: Page) -> Image.Image:
    """Return the pad with its scores, and beside it how the network sees the digit."""
    pictures = [page.locator(part).screenshot() for part in PARTS]
    pad, *seen = (Image.open(io.BytesIO(each)).convert("RGB") for each in pictures)
    whole = Image.new("RGB", SIZE, pad.getpixel((pad.width // 2, 0)))
    whole.paste(pad, (MARGIN, MARGIN))
    for place, picture in enumerate(seen):
        left = SIZE[0] - picture.width - MARGIN
        whole.paste(picture, (left, MARGIN + place * SIZE[1] // 2))
    return whole


def draw(page: Page) -> tuple[list[Image.Image], list[int]]:
    """Draw the strokes, and return the frames and how long each stays."""
    pad = page.locator(".drawing .pad").bounding_box()
    assert pad
    corner, size = np.array([pad["x"], pad["y"]]), pad["width"]
    frames, durations = [photograph(page)], [REST // 3]
    for stroke in STROKES:
        places = corner + size * list_places(stroke)
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
            frames.append(photograph(page))
        page.mouse.up()
        frames.append(photograph(page))
        durations += [STEP] * (len(places) - 1) + [REST]
        print(page.locator(".drawing .reads").inner_text())
    return frames, durations


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell")
            or shutil.which("chromium"),
            args=["--no-sandbox"],
        )
        # So tall that nothing has to be scrolled while the pen is down.
        page = browser.new_page(viewport={"width": 900, "height": 3000})
        page.goto(REPORT.as_uri())
        frames, durations = draw(page)
        browser.close()
    path = Path(__file__).with_name("drawing.gif")
    palette = frames[-1].quantize(COLOURS)
    first, *others = (
        frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames
    )
    first.save(
        path,
        save_all=True,
        append_images=others,
        duration=durations,
        loop=0,
        optimize=True,
    )
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
