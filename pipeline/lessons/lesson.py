"""Make the page of a lesson from its text.

The text is Markdown. A heading of the second level begins a section, which is a stop of
the lesson. A line such as {pad} stands for an interactive part of the page. A line such
as {network {"weights": ...}} stands for a `Diagram` with these options. **Predict** is
followed by a question, and then by its choices, a list of boxes. The box of the right
choice is ticked. The line below each box is a comment on that choice. The page hides
the text below a question until the reader has answered the question.
"""

import json
import re
from pathlib import Path

from pipeline.errors import InvalidInput
from pipeline.lessons.diagram import Diagram
from pipeline.paths import NOTEBOOKS, RUNS
from pipeline.reports import live
from pipeline.reports.assets import REPORTS
from pipeline.reports.markdown import Renderer, render_text
from pipeline.results.files import atomic_write, check_page
from pipeline.results.run_folder import RunFolder

PART = re.compile(r"\{(pad|train|dots|network|step|class)(?: (.+))?\}")
CHOICE = re.compile(r"^- \[([ x])\] (.+)\n  (.+)$", re.M)
PIECE = re.compile(r"^(\{.+\}|\*\*Predict\*\*: .+\n\n(?:- .+\n  .+\n)+)$", re.M)
# What remains of a part or a question with a mistake. It must not be shown as prose.
MISTAKE = re.compile(r"^\{.*|.*\*Predict.*|^ *[-*+] \[.*", re.M)


def write_page(source: Path, output: Path) -> None:
    """Write the page of a lesson.

    source: the path of the lesson's text.
    output: the path of the page.

    The page uses the network and the images of runs/default.
    """
    check_page(output)
    html = render_lesson(source.read_text("utf-8"), RunFolder(RUNS / "default"))
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
    opening, *texts = re.split("^## ", unbroken, flags=re.M)
    renderer = Renderer(["lesson"])
    return REPORTS.render(
        "lesson.html.j2",
        ["page", "lesson", "diagrams", "predict", "bar"],
        ["live", "page", "lesson"],
        title=opening.removeprefix("# ").partition("\n")[0],
        opening=render_text(opening, renderer),
        stops=[read_section(each, renderer) for each in texts],
        run=run,
        glossary=render_glossary(),
    )


def read_section(text: str, renderer: Renderer) -> dict[str, object]:
    """Return the title of a section, its name in links, and its pieces.

    text: the Markdown of the section, beginning with the title.

    Each piece is prose, a part of the page, or a question.
    """
    title, _, body = text.partition("\n")
    pieces: list[dict[str, object]] = []
    for piece in PIECE.split(body):
        part, choices = PART.fullmatch(piece), CHOICE.findall(piece)
        if part:
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
    return {"title": title, "name": "-".join(title.lower().split()), "pieces": pieces}


def read_diagram(options: str) -> Diagram:
    try:
        return Diagram(**json.loads(options))
    except (ValueError, TypeError) as error:
        problem = f"This network of the lesson cannot be read: {options} ({error})"
        raise InvalidInput(problem) from None


def render_glossary() -> str:
    """Render the glossary of notebooks/README.md, without its heading."""
    guide = (NOTEBOOKS / "README.md").read_text("utf-8")
    glossary = guide.split("## Glossary\n")[1].split("\n## ")[0]
    return render_text(glossary, Renderer(["README"]))


def render_inline(source: str) -> str:
    """Render a line of Markdown, such as a sentence, without a paragraph around it."""
    html = render_text(source, Renderer(["words"]))
    return html.strip().removeprefix("<p>").removesuffix("</p>")
