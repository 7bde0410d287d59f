"""Say of a run or a sweep where it was made, and whose data and code it uses.

A page has this at its end, and README.txt in its folder.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ruamel.yaml import YAML

from pipeline.paths import ROOT, name_source
from pipeline.records import RunRecord, Software, Worker

# The digest of MNIST's test images, which are in the sample, too.
MNIST_TEST_IMAGES = "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"
UNKNOWN = "not known"
RUN_FILES = {
    "report.html": "the run as one page; begin here",
    "metrics.json": "its metrics, and the SHA-256 of its weights",
    "history.json": "the metrics of each epoch",
    "model.npz": "the weights",
    "answers.npz": "the answers to the test images",
    "helpers.py.txt": "the code of the network",
    "*.ipynb": "the three notebooks, as they were executed",
    "run.json": "parameters, versions, machine, times; SHA-256 of data, code and files",
    "data.npz": "the images",
}
SWEEP_FILES = {
    "report.html": "the sweep as one page; begin here",
    "results.csv": "a row for each point: parameters, metrics, time, error",
    "test_evaluations.jsonl": "each evaluation on the test images",
    "helpers.py.txt": "the code of the network",
    "sweep.ipynb": "the notebook of the page, as it was executed",
    "sweep.json": "definition, versions, machines; SHA-256 of data and code",
    "summary.json": "what the list of runs shows of it",
    "ID/": "a point: weights, metrics of each epoch, notebooks, run.json",
}


@dataclass(frozen=True)
class Images:
    """The images of a source, by whom they are, and their licence.

    is_own: whether nobody else can get them from their source.
    """

    name: str
    licence: str
    citation: str = ""
    is_own: bool = False

    @property
    def text(self) -> str:
        return " ".join(filter(None, [f"{self.name}, {self.licence}", self.citation]))


MNIST = Images(
    "MNIST",
    "copyright Yann LeCun and Corinna Cortes, a derivative work of NIST's databases, "
    "here a selection that is otherwise unchanged, under the Creative Commons "
    "Attribution-ShareAlike 3.0 licence, "
    "https://creativecommons.org/licenses/by-sa/3.0/.",
    "Cite Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998), Gradient-based "
    "learning applied to document recognition, Proceedings of the IEEE 86, 2278-2324.",
)
FASHION_MNIST = Images(
    "Fashion-MNIST",
    "copyright Zalando SE, under the MIT licence, "
    "https://github.com/zalandoresearch/fashion-mnist.",
    "Cite H. Xiao, K. Rasul and R. Vollgraf (2017), Fashion-MNIST: a novel image "
    "dataset for benchmarking machine learning algorithms, arXiv:1708.07747.",
)


def find_images(source: object, inputs: Mapping[str, str]) -> Images:
    """Return whose the images of a source are.

    inputs: of a result, by whose arrays MNIST is known whatever its file.
    """
    if source in ("sample", "mnist") or inputs.get("array x_test") == MNIST_TEST_IMAGES:
        return MNIST
    if source == "fashion_mnist":
        return FASHION_MNIST
    licence = "images of the author's own, whose licence is for the author to name."
    return Images(name_source(str(source)), licence, is_own=True)


@cache
def _read_citation() -> Any:
    return YAML(typ="safe").load(ROOT / "CITATION.cff")


def cite_project() -> str:
    """Return how to cite the project, and its licence."""
    citation = _read_citation()
    authors = ", ".join(each["name"] for each in citation["authors"])
    year, version = citation["date-released"].year, citation["version"]
    licence = f"under the {citation['license']} licence"
    return (
        f"{citation['title']}, {licence}. Cite {authors} ({year}), version {version}."
    )


def describe_software(software: Software | None) -> str:
    """Return the version and the commit of the project in words."""
    title = _read_citation()["title"]
    if software is None:
        return f"{title}, in a version that was not recorded"
    if software.commit is None:
        return f"{title} {software.version}, from a folder that git does not know"
    changed = ", ".join(software.changed or [])
    changes = f"with changes in {changed}" if changed else "without changes"
    return f"{title} {software.version}, commit {software.commit}, {changes}"


def describe_packages(software: Iterable[Software | None]) -> str:
    """Return the versions of the packages that the project installs, in words."""
    found: dict[str, dict[str, None]] = {}
    for each in filter(None, software):
        for name, version in each.packages.items():
            found.setdefault(name, {})[version] = None
    return ", ".join(f"{name} {' or '.join(found[name])}" for name in found)


def list_workers(workers: Sequence[Worker]) -> list[dict[str, str]]:
    """Return a row of a table for each kind of machine."""
    return [
        {
            "Points": str(each.points),
            "Operating system": each.system,
            "Processor": each.processor,
            "Cores": str(each.cores),
            "Memory": _add_unit(each.memory_gb, "GB"),
            "BLAS": each.blas,
            "Its threads": str(each.blas_threads or UNKNOWN),
            "A notebook took at most": _add_unit(each.peak_memory_mb, "MB"),
        }
        for each in workers
    ]


def list_machines(record: RunRecord) -> list[dict[str, str]]:
    """Return a row of a table for each machine that a run was executed on."""
    common: Any = {"points": 1, "peak_memory_mb": record.peak_memory_mb}
    rows = list_workers([Worker(**dict(each), **common) for each in record.machines])
    return [{name: row[name] for name in row if name != "Points"} for row in rows]


def _add_unit(value: float | None, unit: str) -> str:
    return UNKNOWN if value is None else f"{value} {unit}"


def collect(
    images: Iterable[Images],
    software: Sequence[Software | None],
    rows: Sequence[Mapping[str, str]],
    times: str = "",
) -> dict[str, Any]:
    """Return what origins.html.j2 shows.

    rows: of the table of machines; without any, the page does not say on what and when
        it was made, as a page that is published.
    times: when it was made, and how long that took.
    """
    texts = [each.text for each in images]
    return {
        "credits": [*dict.fromkeys(texts), cite_project()],
        "rows": rows,
        "times": times,
        "software": list(dict.fromkeys(map(describe_software, software))),
        "packages": describe_packages(software),
    }


def make_run_readme(record: RunRecord, name: str, is_published: bool) -> str:
    """Return the README.txt of a run.

    name: that of its folder.
    is_published: whether its helpers.py is the published one.
    """
    images = find_images(record.parameters["source"], record.inputs)
    send = (
        "Send all of this folder. data.npz, which is most of it, may stay away, "
        "because the check takes the images from their source again."
    )
    if images.is_own:
        send = (
            "Send all of this folder, also data.npz, because nobody else has its "
            "images. The check takes them from there if their source is missing."
        )
    place = f"runs/{name}"
    check = (
        "This trains and evaluates again, which takes about as long as duration_s in "
        "run.json says, and compares metrics, weights and answers, but not the page."
    )
    head = [_list_files("run", RUN_FILES), send]
    inputs = [record.inputs]
    return _make_readme(
        head, check, place, record.software, inputs, [images], is_published
    )


def make_sweep_readme(
    name: str,
    inputs: Mapping[str, Mapping[str, str]],
    software: Software | None,
    is_published: bool,
) -> str:
    """Return the README.txt of a sweep.

    name: that of its folder.
    inputs: for each source, see `records.SweepRecord`.
    software: that of its last start.
    """
    images = [find_images(source, each) for source, each in inputs.items()]
    send = (
        "Send all of this folder. It has no data.npz, because the check takes the "
        "images from their source again."
    )
    if own := [each.name for each in images if each.is_own]:
        send += f" So send this source with it: {', '.join(own)}."
    place = f"runs/sweeps/{name}"
    check = (
        "This trains and evaluates the selected points again, and compares them. Each "
        "takes about as long as duration_s in its run.json says. The others are not "
        "trained again, and the page and the table are not compared."
    )
    head = [_list_files("sweep", SWEEP_FILES), send]
    every = [*inputs.values()]
    return _make_readme(head, check, place, software, every, images, is_published)


def _list_files(kind: str, files: Mapping[str, str]) -> str:
    title = f"A {kind} of Digits by hand, a neural network written by hand in NumPy."
    width = max(map(len, files)) + 2
    return "\n".join([title, "", *(f"{k:{width}}{v}" for k, v in files.items())])


def _make_readme(
    head: Sequence[str],
    check: str,
    place: str,
    software: Software | None,
    inputs: Sequence[Mapping[str, str]],
    images: Sequence[Images],
    is_published: bool,
) -> str:
    commands = [f"python -m pipeline verify {place}"]
    if not is_published:
        commands.insert(0, f"cp {place}/helpers.py.txt helpers.py")
        commands.append("git checkout helpers.py")
    version = "this version"
    if software and {*(software.changed or [])} - {"helpers.py"}:
        version += ", with the changes, which have to be sent, too"
    pythons = dict.fromkeys(each.get("version python", UNKNOWN) for each in inputs)
    parts = [
        *head,
        f"It was made by {describe_software(software)}, and Python "
        f"{', '.join(pythons)}. To check it, get {version}, "
        f"set it up as its README says, and put this folder there as {place}. Then "
        "give, in the project's folder:",
        "\n".join(f"    {command}" for command in commands),
        check,
        'Its last line begins with "Reproduced" if all is equal. With batch_size 1 all '
        "digits have to be, unless run.json has a note: then helpers.py itself has "
        "trained, and the last digits depend on the machine.",
        *dict.fromkeys(each.text for each in images),
        cite_project(),
        (ROOT / "LICENSE").read_text("utf-8").strip(),
    ]
    return "\n\n".join(map(_fill, parts)) + "\n"


def _fill(text: str) -> str:
    """Fold a paragraph; leave a text of several lines, or a command, as it is."""
    if "\n" in text or text.startswith(" "):
        return text
    return textwrap.fill(text, 88, break_on_hyphens=False, break_long_words=False)
