"""Make the pictures of README.md; `make pictures` runs this.

drawing.gif shows how a digit is drawn and classified in lesson/lesson.html, in
Chromium. report.png is the first screen of the report of a default run, which is made
for this. dose.png is a figure of notebooks/notes.ipynb. pages.sha256 has the digest of
the page from which drawing.gif was made, so that a test can tell when the picture is
outdated.
"""

import base64
import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).resolve().parent
LESSON = FOLDER.parents[1] / "lesson" / "lesson.html"
NOTES = FOLDER.parent / "notes.ipynb"
WIDTH, MARGIN = 700, 12
STEP, REST = 70, 2500  # milliseconds: each frame, and the last one of a stroke
COLOURS = 64
SPEED = 12  # degrees of an arc that the pen draws in one frame
# A stroke is a list of arcs. An arc has the centre (x, y) and the radius, in fractions
# of the pad, and the first and the last angle, in degrees.
TOP, BOTTOM = (0.48, 0.34, 0.15), (0.49, 0.67, 0.18)
STROKES = [
    [(*TOP, -160, 100), (*BOTTOM, -100, 140)],  # a 3
    [(*BOTTOM, 140, 262), (*TOP, 100, 200)],  # which becomes an 8
]


def list_pen_positions(stroke: list[tuple[float, ...]]) -> np.ndarray:
    """Return the places of the pen in the frames of a stroke: (N, 2).

    stroke: the arcs of the stroke, see STROKES.

    A place has two coordinates, in fractions of the pad.
    """
    arcs = []
    for x, y, radius, first, last in stroke:
        angles = np.radians(np.linspace(first, last, round(abs(last - first) / SPEED)))
        arcs.append([x, y] + radius * np.column_stack([np.cos(angles), np.sin(angles)]))
    return np.concatenate(arcs)


def take_screenshot(page: Page) -> Image.Image:
    """Return a picture of the pad, the scores, and the line with the answer."""
    pad = page.locator(".drawing .pad").bounding_box()
    line = page.locator(".drawing .answer-line").bounding_box()
    assert pad
    assert line
    top, bottom = pad["y"] - MARGIN, line["y"] + line["height"] + MARGIN
    clip = {"x": 0, "y": top, "width": WIDTH, "height": bottom - top}
    return Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")


def draw_strokes(page: Page) -> tuple[list[Image.Image], list[int]]:
    """Draw STROKES on the pad of the page, and print the answer after each stroke.

    Return the frames of the animation, and the duration of each in milliseconds.
    """
    pad = page.locator(".drawing .pad").bounding_box()
    assert pad
    corner, size = np.array([pad["x"], pad["y"]]), pad["width"]
    frames, durations = [take_screenshot(page)], [REST // 3]
    for stroke in STROKES:
        places = corner + size * list_pen_positions(stroke)
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
            frames.append(take_screenshot(page))
        page.mouse.up()
        frames.append(take_screenshot(page))
        durations += [STEP] * (len(places) - 1) + [REST]
        print(page.locator(".drawing .reads").inner_text())
    return frames, durations


def make_drawing_gif(browser: Browser) -> None:
    """Write drawing.gif, and write the digest of its page to pages.sha256."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 900})
    page.goto(LESSON.as_uri())
    frames, durations = draw_strokes(page)
    palette = frames[-1].quantize(128)
    first, *others = (
        frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames
    )
    first.save(
        FOLDER / "drawing.gif",
        save_all=True,
        append_images=others,
        duration=durations,
        loop=0,
        optimize=True,
    )
    digest = hashlib.sha256(LESSON.read_bytes()).hexdigest()
    (FOLDER / "pages.sha256").write_text(f"{digest}  {LESSON.name}\n")


def make_report_picture(browser: Browser) -> None:
    """Write report.png: the beginning of the report of a default run, on a phone."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pipeline",
            "run",
            "--run-dir",
            f"{folder}/default",
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(f"file://{folder}/default/report.html")
        content = page.screenshot()
    picture = Image.open(io.BytesIO(content)).convert("RGB").quantize(128)
    picture.save(FOLDER / "report.png", optimize=True)


def copy_dose_picture() -> None:
    """Copy dose.png, unchanged, from the outputs of notes.ipynb."""
    cells = nbformat.read(NOTES, as_version=4).cells
    (outputs,) = (cell.outputs for cell in cells if cell.id == "dose")
    (png,) = (each.data["image/png"] for each in outputs if "image/png" in each.data)
    (FOLDER / "dose.png").write_bytes(base64.b64decode(png))


def make_pictures() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell")
            or shutil.which("chromium")
            or shutil.which("google-chrome"),
            args=["--no-sandbox"],
        )
        make_drawing_gif(browser)
        make_report_picture(browser)
        browser.close()
    copy_dose_picture()


if __name__ == "__main__":
    make_pictures()
