"""Make the page of a lesson from its text, with what draws, trains and asks in it.

The text is Markdown. A heading of the second level begins a stop. A line such as {pad}
stands for a part of the page. After **Predict** comes a question, and its choices as a
list of boxes, with what to say of each below it; the right one is ticked.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import InvalidInput
from pipeline.images.data import load_source
from pipeline.lessons.diagram import Diagram
from pipeline.parameters import (
    Parameters,
    from_values,
    make_command,
)
from pipeline.paths import RUNS
from pipeline.records import RunRecord
from pipeline.reports import live, page
from pipeline.reports.markdown import Renderer, render_guide, render_text, render_words
from pipeline.results import provenance
from pipeline.results.files import check_page, write_whole
from pipeline.results.run_folder import RunFolder

CHAIN: dict[str, Any] = {"inputs": [2.0], "targets": [5.0]}
SILENT = CHAIN | {"weights": [[[-1.0]], [[-3.0]]], "learning_rate": 0.005}
NETWORKS: dict[str, dict[str, Any]] = {  # the options of a `Diagram`
    "1-1": {
        "weights": [[[0.2]]],
        "inputs": [1.0],
        "targets": [1.0],
        "learning_rate": 0.5,
    },
    "1-1-1": CHAIN | {"weights": [[[1.0]], [[3.0]]], "learning_rate": 0.02},
    "1-1-1 silent": SILENT,
    "1-1-1 slip": SILENT | {"relu_grad_inactive": 1},
    "3-2-2": {
        "weights": [[[-2.0, 1], [1, 3], [2, -2]], [[1.0, -1], [3, 1]]],
        "inputs": [1.0, 0, 2],
        "targets": [1.0, 0],
        "learning_rate": 0.1,
        "on_paper": True,
    },
}
# What a line may name, and the part to which links such as lesson.html#draw lead.
PARTS = {"pad": "draw", "train": "train", "dots": "", "step": "step", "class": "class"}
NAMES = (*PARTS, *(f"network {size}" for size in NETWORKS))
PART = re.compile(r"^\{(.*)\}$", re.M)
QUESTION = re.compile(
    r"^\*\*Predict\*\*: (.*)\n\n((?:- \[[ x]\] .*\n(?:  .*\n)*)+)", re.M
)
CHOICE = re.compile(r"^- \[([ x])\] (.*)\n((?:  .*\n)*)", re.M)


class Choice(NamedTuple):
    """One choice of a question, as HTML.

    reason: what the page says to those who have chosen it.
    """

    letter: str
    text: str
    reason: str
    is_right: bool


class Question(NamedTuple):
    """A row of the sheet: the stop where it is asked, its anchor there, and HTML."""

    name: str
    heading: str
    text: str
    choices: list[Choice]


class Stop(NamedTuple):
    """One stop: what links to it name, and HTML."""

    name: str
    title: str
    html: str


def write_page(source: Path, output: Path) -> None:
    """Write the page of a lesson, which draws and trains with runs/default.

    Raises InvalidInput as `render` does, or if the output is a file that this project
    has not made.
    """
    check_page(output)
    html = render(source.read_text("utf-8"), RunFolder(RUNS / "default"))
    if output.parent.resolve() != source.parent.resolve():
        html = page.remove_dead_links(html)
    write_whole(output, html.encode())


def render(text: str, run: RunFolder, site: Mapping[str, str] | None = None) -> str:
    """Render the text of a lesson as one page that draws and trains with a run.

    site: see `page.render`.

    Raises InvalidInput if the run is missing, was made with other code or cannot be
    drawn with, or if the text names an unknown part.
    """
    check_run(run)
    record = run.read_record()
    parts = live.collect_parts(run, record)
    own = parts["run"]
    if not (own["networks"] and own["training"]):
        raise InvalidInput(f"The lesson cannot be made. {live.NO_TRAINING}")
    own["networks"] = own["networks"][:1]
    values = {"run": own, "site": site or {}}
    opening, *texts = re.split(r"^## ", text, flags=re.M)
    title = opening.removeprefix("# ").split("\n")[0]
    questions: list[Question] = []
    renderer = Renderer(["lesson"], site or {})
    stops = [render_stop(each, questions, renderer, values) for each in texts]
    return page.fill(
        "lesson.html.j2",
        ["page", "lesson", "diagrams", "predict", "bar"],
        ["live", "page", "lesson"],
        title=title,
        site=site or {},
        opening=render_text(opening, renderer),
        stops=stops,
        questions=questions,
        run=own,
        glossary=None if site else render_guide("Glossary", "README.md"),
    )


def check_run(folder: RunFolder) -> None:
    """Raise InvalidInput unless a run is finished, and is what would be made now."""
    record = folder.find_record()
    parameters = from_values(record.parameters) if record else Parameters()
    inputs = provenance.collect_inputs(load_source(parameters.source))
    now = RunRecord(parameters=dict(parameters), inputs=inputs)
    differences = folder.find_differences(now)
    if not differences:
        return
    command = make_command(parameters.model_dump(), folder.display_path)
    raise InvalidInput(
        f"The page of this lesson draws and trains with the run {folder.display_path}, "
        f"which is missing or no longer up to date: {differences[0]}. "
        f"Make it, and then the page: {command}"
    )


def render_stop(
    text: str,
    questions: list[Question],
    renderer: Renderer,
    values: Mapping[str, Any],
) -> Stop:
    """Render one stop, and append its questions to those of the stops before.

    text: its Markdown, which begins with the words of its heading.
    values: what the templates of parts show.
    """
    title, _, body = text.partition("\n")
    parts = PART.findall(body)
    places = [PARTS[part] for part in parts if part in PARTS]
    name = places[0] if places else "-".join(title.lower().split())
    html = ""
    for kind, piece in split_text(body):
        if kind == "part":
            html += render_part(piece, values)
        elif kind == "question":
            question = read_question(piece, f"predict-{name}", title)
            questions.append(question)
            html += fill_template("lesson_question.html.j2", question=question)
        elif piece.strip():
            html += f'<div class="cell prose">\n{render_text(piece, renderer)}</div>\n'
    return Stop(name, title, html)


def split_text(text: str) -> Iterator[tuple[str, str]]:
    """Yield the pieces of a text in their order: of prose, parts and questions."""
    end = 0
    found = [("part", match) for match in PART.finditer(text)]
    found += [("question", match) for match in QUESTION.finditer(text)]
    for kind, match in sorted(found, key=lambda each: each[1].start()):
        yield "prose", text[end : match.start()]
        yield kind, match[1] if kind == "part" else match[0]
        end = match.end()
    yield "prose", text[end:]


def render_part(name: str, values: Mapping[str, Any]) -> str:
    if name not in NAMES:
        known = ", ".join(f"{{{each}}}" for each in NAMES)
        raise InvalidInput(f"The lesson has no part {{{name}}}. It has: {known}.")
    part, _, size = name.partition(" ")
    diagram = Diagram(**NETWORKS[size]) if size else None
    return fill_template(f"lesson_{part}.html.j2", diagram=diagram, **values)


def read_question(text: str, name: str, heading: str) -> Question:
    """Read a question with its choices. Raises InvalidInput unless one is ticked."""
    match = QUESTION.fullmatch(text)
    assert match is not None
    choices = [
        Choice("abcdefgh"[i], render_words(words), render_words(reason), mark == "x")
        for i, (mark, words, reason) in enumerate(CHOICE.findall(match[2]))
    ]
    if sum(choice.is_right for choice in choices) != 1:
        raise InvalidInput(f"Tick one choice, and only one, of: {match[1]}")
    return Question(name, heading, render_words(match[1]), choices)


def fill_template(name: str, **values: object) -> str:
    return live.ENVIRONMENT.get_template(name).render(**values)
