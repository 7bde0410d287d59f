"""Make the page of a lesson from its text.

The text is Markdown. A heading of the second level begins a section, which is a stop of
the lesson. A line such as {pad} stands for an interactive part of the page. A line such
as {network {"weights": ...}} stands for a `Diagram` with these options. What follows a
line such as {fold For a class.} in a section is folded, below these words. **Predict**
is followed by a question, and then by its choices, a list of boxes. The box of the
right choice is ticked. The line below each box is a comment on that choice. The page
hides the text below a question until the reader has answered the question. The last
section is the glossary, which is no stop.

A file whose name begins with "worksheet" becomes a page to print. In its text, ____
stands for a place to write, a rule (***) for a line to write on, and {network ...} for
a picture whose units and scores are blank.
"""

import json
import re
from pathlib import Path

from lesson.assets import LESSON
from lesson.diagram import Diagram, draw_static, to_output
from pipeline.errors import InvalidInput
from pipeline.paths import RUNS
from pipeline.reports import live
from pipeline.reports.markdown import Renderer, render_text
from pipeline.results.files import atomic_write, check_page
from pipeline.results.run_folder import RunFolder

PART = re.compile(r"\{(pad|train|dots|network|step|class|fold)(?: (.+))?\}")
CHOICE = re.compile(r"^- \[([ x])\] (.+)\n  (.+)$", re.M)
PIECE = re.compile(r"^(\{.+\}|\*\*Predict\*\*: .+\n\n(?:- .+\n  .+\n)+)$", re.M)
# What remains of a part or a question with a mistake. It must not be shown as prose.
MISTAKE = re.compile(r"^\{.*|.*\*Predict.*|^ *[-*+] \[.*", re.M)


def write_page(source: Path, output: Path) -> None:
    """Write the page of a lesson, or a page to print.

    source: the path of the text.
    output: the path of the page.

    The page of a lesson uses the network and the images of runs/default.
    """
    check_page(output)
    text = source.read_text("utf-8")
    if source.name.startswith("worksheet"):
        html = render_worksheet(text)
    else:
        html = render_lesson(text, RunFolder(RUNS / "default"))
    atomic_write(output, html.encode())


def render_lesson(text: str, folder: RunFolder) -> str:
    """Render the text of a lesson as one page, and return its HTML.

    folder: the run whose network the page uses and trains again.

    Raises InvalidInput if the run is not finished, if a page cannot train the run's
    network, or if a question or a part in the text has a mistake.
    """
    record = folder.read_finished()
    run = live.collect_run_data(folder, record)
    if not run["network"] or not run["training"]:
        problem = "a page cannot train the network of runs/default"
        raise InvalidInput(f"The lesson cannot be made: {problem}.")
    data = folder.read_data()
    run["training"] |= {
        "numValidation": len(data.x_validation),
        "validation_images": live.pack_bytes(data.x_validation.tobytes()),
        "validation_labels": live.pack_bytes(data.y_validation.tobytes()),
    }
    unbroken = text.replace(" %", "\N{NO-BREAK SPACE}%")
    opening, *texts, glossary = re.split("^## ", unbroken, flags=re.M)
    renderer = Renderer(["lesson"])
    return LESSON.render(
        "lesson.html.j2",
        ["page", "lesson", "diagrams", "predict", "bar"],
        ["live", "page", "lesson"],
        title=opening.removeprefix("# ").partition("\n")[0],
        opening=render_text(opening, renderer),
        stops=[read_section(each, renderer) for each in texts],
        run=run,
        glossary=render_text(glossary.removeprefix("Glossary\n"), renderer),
    )


def render_worksheet(text: str) -> str:
    """Render the text of a page to print, and return its HTML."""
    renderer, html = Renderer(["worksheet"]), ""
    for piece in PIECE.split(text):
        part = PART.fullmatch(piece)
        html += draw_blank(part[2]) if part else render_text(piece, renderer)
    blanks = re.sub("_{4,}", lambda found: make_blank(len(found[0])), html)
    title = text.removeprefix("# ").partition("\n")[0]
    styles = ["live", "page", "worksheet"]
    return LESSON.render("worksheet.html.j2", [], styles, title=title, content=blanks)


def make_blank(length: int) -> str:
    """Return a place to write, for each four underscores as long as one number."""
    return '<span class="blank"></span>' * (length // 4)


def draw_blank(options: str) -> str:
    """Return the picture of a network whose units and scores are blank, as HTML."""
    diagram = read_diagram(options)
    figure = draw_static(diagram, is_blank=True)
    data, _ = to_output(figure, diagram.alt)
    picture = f"data:image/png;base64,{data['image/png']}"
    return f'<img src="{picture}" alt="{diagram.alt}">\n'


def read_section(text: str, renderer: Renderer) -> dict[str, object]:
    """Return the title of a section, its name in links, and its pieces.

    text: the Markdown of the section, beginning with the title.

    Each piece is prose, a part of the page, or a question.
    """
    title, _, body = text.partition("\n")
    pieces: list[dict[str, object]] = []
    for piece in PIECE.split(body):
        part, choices = PART.fullmatch(piece), CHOICE.findall(piece)
        if part and part[1] == "fold":
            pieces.append({"fold": part[2]})
        elif part:
            diagram = read_diagram(part[2]) if part[1] == "network" else None
            pieces.append({"part": f"lesson_{part[1]}.html.j2", "diagram": diagram})
        elif PIECE.fullmatch(piece) and [mark for mark, *_ in choices].count("x") == 1:
            asked = render_inline(
                piece.partition("\n")[0].removeprefix("**Predict**: ")
            )
            words = [[mark, *map(render_inline, rest)] for mark, *rest in choices]
            pieces.append({"asked": asked, "choices": words})
        elif MISTAKE.search(piece):
            raise InvalidInput(f"This piece of the lesson cannot be read: {piece}")
        elif piece.strip():
            pieces.append({"prose": render_text(piece, renderer)})
    return {
        "title": title,
        "name": "-".join(title.lower().split()),
        "pieces": pieces,
        "is_folded": any("fold" in piece for piece in pieces),
    }


def read_diagram(options: str) -> Diagram:
    try:
        return Diagram(**json.loads(options))
    except (ValueError, TypeError) as error:
        problem = f"This network of the lesson cannot be read: {options} ({error})"
        raise InvalidInput(problem) from None


def render_inline(source: str) -> str:
    """Render a line of Markdown, such as a sentence, without a paragraph around it."""
    html = render_text(source, Renderer(["words"]))
    return html.strip().removeprefix("<p>").removesuffix("</p>")
