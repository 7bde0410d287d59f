"""Make the page of a lesson: its notebook, what draws and trains, and a sheet.

A notebook is a lesson if its first cell has the tag `lesson`. Its page leaves out the
cells with the tag `notebook`. A paragraph with a link such as lesson.html#draw says
where a part of the page is found, so in the page that part stands in its place.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nbformat import NotebookNode

from pipeline.errors import InvalidInput
from pipeline.images.data import DIGITS
from pipeline.parameters import (
    NotebookParameters,
    Parameters,
    find_unoriginal,
    from_values,
    make_command,
)
from pipeline.records import RunRecord
from pipeline.reports import live
from pipeline.reports.cells import has_tag
from pipeline.reports.markdown import render_words
from pipeline.results import provenance
from pipeline.results.run_folder import RunFolder

LESSON = "lesson"  # the tag of a lesson's first cell
PARTS = ("draw", "step", "train", "tries")  # of the page, as links name them
PREDICT = "**Predict**"
LIST = re.compile(r"^- .*\n?", re.M)  # the choices of a prediction
SENTENCE = re.compile(r"(?<=[.?!:])\s+")  # what stands between two of them
HEADING = re.compile(r"^#+ (.*)", re.M)


class Question(NamedTuple):
    """A row of the sheet: the id of the cell that has the answer, and HTML."""

    cell: str
    heading: str
    text: str


class Lesson(NamedTuple):
    """What a lesson's page has besides its notebook.

    page: for its scripts, as in a run's report.
    parts: the HTML of each part, by its name.
    """

    page: dict[str, Any]
    parts: dict[str, str]
    questions: list[Question]


def is_lesson(notebook: NotebookNode) -> bool:
    return bool(notebook.cells) and has_tag(notebook.cells[0], LESSON)


def collect_lesson(
    notebook: NotebookNode,
    run: RunFolder | None = None,
    site: Mapping[str, str] | None = None,
) -> Lesson:
    """Return what a lesson's page has besides its notebook.

    run: the one it draws and trains with, by default that of the parameter `run_dir`.
    site: see `page.render`.

    Raises InvalidInput if the run that it draws and trains with is not there, or was
    made with other code.
    """
    folder = run or RunFolder(find_run_dir(notebook))
    check_run(folder)
    record = folder.read_record()
    parts = live.collect_parts(folder, record)
    if parts["no_reading"]:
        raise InvalidInput(f"The lesson cannot be made. {parts['no_reading']}")
    summary = {  # what the parts use of `page.summarise_run`
        "digits": folder.read_model().classes == DIGITS,
        "published_helpers": provenance.has_published_helpers(record.inputs),
        "unoriginal": find_unoriginal(from_values(record.parameters)),
    }
    values = {"live": parts, "site": site or {}, "summary": summary}
    return Lesson(
        page=parts["page"],
        parts={name: render_part(name, values) for name in PARTS},
        questions=[*find_questions(notebook.cells)],
    )


def check_run(folder: RunFolder) -> None:
    """Raise InvalidInput unless a run is finished, and is what would be made now."""
    record = folder.find_record()
    parameters = from_values(record.parameters) if record else Parameters()
    inputs = provenance.collect_inputs(parameters.source)
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


def find_run_dir(notebook: NotebookNode) -> str:
    """Return the value of the parameter `run_dir`, its last one if it was set again."""
    default = str(NotebookParameters.model_fields["run_dir"].default)
    values = [
        match[1]
        for cell in notebook.cells
        for match in re.finditer(r'^run_dir[^=]*= "([^"]*)"', cell.source, re.M)
    ]
    return [default, *values][-1]


def render_part(name: str, values: Mapping[str, object]) -> str:
    template = live.ENVIRONMENT.get_template("lesson_part.html.j2")
    return template.render(part=name, **values)


def find_questions(cells: Sequence[NotebookNode]) -> Iterator[Question]:
    """Yield a question for each answer that the page folds."""
    heading = ""
    for before, cell in itertools.pairwise(cells):
        if before.cell_type == "markdown":
            heading = [heading, *HEADING.findall(before.source)][-1]
        folded = cell.metadata.get("jupyter", {}).get("outputs_hidden")
        if cell.cell_type == "code" and folded and PREDICT in before.source:
            text = LIST.sub("", before.source.split(PREDICT)[-1])
            asked = [each for each in SENTENCE.split(text) if each.endswith("?")]
            asked = [each[0].upper() + each[1:] for each in asked]
            words = render_words(" ".join(asked))
            yield Question(cell.id, render_words(heading), words)
