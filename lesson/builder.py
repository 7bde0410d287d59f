"""Make the page of the lesson and its pages to print from their texts.

The text is Markdown. A heading of the second level begins a section, which is a stop of
the lesson. A line such as {pad} stands for an interactive part of the page. A line such
as {network {"weights": ...}} stands for a `SmallNetwork` with these fields. What
follows a line such as {fold For a class.} in a section is folded, below these words.
**Predict** is followed by a question, and then by its choices, a list of boxes. The box
of the right choice is ticked. The line below each box is a comment on that choice. The
page hides the text below a question until the reader has answered the question.
**Complete** is followed by a list of half sentences, each with its other half on the
line below. The last section is the glossary, which is no stop.

In the text of a page to print, ____ stands for a place to write, a rule (***) for a
line to write on, and {network ...} for a picture whose units and scores are blank.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

from lesson.assets import FOLDER, LESSON
from lesson.small_network import SmallNetwork
from pipeline.images.arrays import read_arrays
from pipeline.images.data import SAMPLE, split_source
from pipeline.network import published
from pipeline.parameters import Parameters
from pipeline.reports import live
from pipeline.reports.markdown import Renderer, render_text
from pipeline.results.files import atomic_write
from pipeline.results.model import Model

DEFAULTS = Parameters()
NETWORKS = SAMPLE.with_name("networks.npz")
PART = re.compile(r"\{(pad|train|dots|network|step|class|fold)(?: (.+))?\}")
CHOICE = re.compile(r"^- (?:\[([ x])\] )?(.+)\n  (.+)$", re.M)
TASK = re.compile(r"\*\*(Predict|Complete)\*\*: (.+)\n")
PIECE = re.compile(
    r"^(\{.+\}|\*\*(?:Predict|Complete)\*\*: .+\n\n(?:- .+\n  .+\n)+)$", re.M
)


def write_pages(folder: Path = FOLDER) -> None:
    """Write the page of the lesson and its pages to print into a folder."""
    for name in ("lesson", "worksheet-1", "worksheet-2"):
        text = (FOLDER / f"{name}.md").read_text("utf-8")
        render = render_lesson if name == "lesson" else render_worksheet
        atomic_write(folder / f"{name}.html", render(text).encode())


def collect_run_data(parameters: Parameters) -> dict[str, Any]:
    """Return the data with which the page reads drawings and trains.

    The page begins with the published network. Its digest tells the dots of this page
    from the dots of other versions.
    """
    arrays = read_arrays(NETWORKS, {}, "Restore it with git.")
    weights = arrays["published_0_1"], arrays["published_1_2"]
    network = Model(weights, parameters.normalisation)
    data = split_source(
        parameters.source, parameters.num_samples, parameters.num_validation
    )
    training = live.collect_training_data(parameters, data, published.WEIGHTS_SHA256)
    training |= {
        "validation_images": live.pack_bytes(data.x_validation.tobytes()),
        "validation_labels": live.pack_bytes(data.y_validation.tobytes()),
    }
    return {"network": live.pack_network(network), "training": training}


def render_lesson(text: str, parameters: Parameters = DEFAULTS) -> str:
    """Render the text of the lesson as one page, and return its HTML.

    parameters: those with which the page trains.
    """
    unbroken = text.replace(" %", "\N{NO-BREAK SPACE}%")
    opening, *texts, glossary = re.split("^## ", unbroken, flags=re.M)
    renderer = Renderer(["lesson"])
    return LESSON.render(
        "lesson.html.j2",
        ["page", "lesson", "diagrams", "predict", "bar"],
        ["live", "page", "network", "lesson"],
        title=opening.removeprefix("# ").partition("\n")[0],
        opening=render_text(opening, renderer),
        stops=[read_section(each, renderer) for each in texts],
        run=collect_run_data(parameters),
        glossary=render_text(glossary.removeprefix("Glossary\n"), renderer),
    )


def render_worksheet(text: str) -> str:
    """Render the text of a page to print, and return its HTML."""
    renderer, html = Renderer(["worksheet"]), ""
    for piece in PIECE.split(text):
        part = PART.fullmatch(piece)
        if part:
            network = read_network(part[2])
            picture = base64.b64encode(network.to_png(is_blank=True)).decode()
            address = f"data:image/png;base64,{picture}"
            html += f'<img src="{address}" alt="{network.alt}">\n'
        else:
            html += render_text(piece, renderer)
    blanks = html.replace("____", '<span class="blank"></span>')
    title = text.removeprefix("# ").partition("\n")[0]
    styles = ["live", "page", "worksheet"]
    return LESSON.render("worksheet.html.j2", [], styles, title=title, content=blanks)


def read_section(text: str, renderer: Renderer) -> dict[str, object]:
    """Return the title of a section, its name in links, and its pieces.

    text: the Markdown of the section, beginning with the title.

    Each piece is prose, a part of the page, or a task: a question or half sentences.
    """
    title, _, body = text.partition("\n")
    pieces: list[dict[str, object]] = []
    for piece in PIECE.split(body):
        part, task = PART.fullmatch(piece), TASK.match(piece)
        if part:
            name, options = part.groups()
            network = read_network(options) if name == "network" else None
            pieces.append({"part": name, "options": options, "network": network})
        elif task:
            choices = [
                [mark, render_inline(choice), render_inline(comment)]
                for mark, choice, comment in CHOICE.findall(piece)
            ]
            asked = render_inline(task[2])
            rows = "choices" if task[1] == "Predict" else "sentences"
            pieces.append({"asked": asked, rows: choices})
        elif piece.strip():
            pieces.append({"prose": render_text(piece, renderer)})
    name = "-".join(title.lower().split())
    return {"title": title, "name": name, "pieces": pieces}


def read_network(options: str) -> SmallNetwork:
    """Return the network of a line such as {network {"weights": ...}}."""
    return SmallNetwork(**json.loads(options))


def render_inline(source: str) -> str:
    """Render a line of Markdown, such as a sentence, without a paragraph around it."""
    html = render_text(source, Renderer(["words"]))
    return html.strip().removeprefix("<p>").removesuffix("</p>")
