"""Describe whose images and code a result uses, and where the result was made.

A page shows these texts at its end. This module also has two texts of README.txt: one
for the folders of all runs, and one for the folders of all sweeps.
"""

from collections.abc import Iterable, Mapping
from functools import cache

from ruamel.yaml import YAML

from pipeline.paths import ROOT
from pipeline.records import Origin, RunRecord
from pipeline.results import provenance
from pipeline.results.provenance import has_mnist

MNIST = (
    "MNIST, copyright Yann LeCun and Corinna Cortes, a derivative work of NIST's "
    "databases, here a selection that is otherwise unchanged, under the Creative "
    "Commons Attribution-ShareAlike 3.0 licence, "
    "https://creativecommons.org/licenses/by-sa/3.0/. Cite Y. LeCun, L. Bottou, Y. "
    "Bengio and P. Haffner (1998), Gradient-based learning applied to document "
    "recognition, Proceedings of the IEEE 86, 2278-2324."
)
FASHION_MNIST = (
    "Fashion-MNIST, copyright Zalando SE, under the MIT licence, "
    "https://github.com/zalandoresearch/fashion-mnist. Cite H. Xiao, K. Rasul and R. "
    "Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine "
    "learning algorithms, arXiv:1708.07747."
)
README = """\
{what} of Digits by hand, a neural network written by hand in NumPy.

{files}

To check the results, get the project from where you got this folder, at the commit that
{record} names. Set it up as its README.md says. Then run, in the project's folder:

    cp THIS_FOLDER/helpers.py.txt helpers.py
    python -m pipeline verify THIS_FOLDER

The second command trains and evaluates again, and compares metrics, weights and
answers. Its last line begins with "Reproduced" if all are equal. {record} has the
parameters, and says how long the run took. The images come from their source or, if a
run's source is missing, from its data.npz.

Licences: the code MIT; MNIST Creative Commons Attribution-ShareAlike 3.0 (Yann LeCun,
Corinna Cortes); Fashion-MNIST MIT (Zalando SE). Other images: as their author says.
"""
RUN_README = README.format(
    what="A run",
    record="run.json",
    files="""\
report.html     the run as one page; begin here
metrics.json    the metrics, and the SHA-256 of the weights
history.json    the metrics of each epoch
model.npz       the weights
answers.npz     the answers to the test images
data.npz        the images
helpers.py.txt  the code of the network
0*.ipynb        the three notebooks, as they were executed
run.json        parameters, inputs, machine, times, and the SHA-256 of the results""",
)
SWEEP_README = README.format(
    what="A sweep",
    record="ID/run.json",
    files="""\
report.html     the sweep as one page; begin here
results.csv     a row for each point: parameters, metrics, time, error
helpers.py.txt  the code of the network
sweep.ipynb     the notebook of the page, as it was executed
sweep.json      the definition, the inputs, and what was evaluated on test images
ID/             each point: weights, metrics by epoch, notebooks, run.json""",
)


def cite_images(source: str, inputs: Mapping[str, str]) -> str:
    """Return a text that names the authors and the licence of images.

    source: the source of the images, such as "sample".
    inputs: what a run with these images depends on (see provenance.py).
    """
    if has_mnist(inputs):
        return MNIST
    if source == "fashion_mnist":
        return FASHION_MNIST
    licence = "images of the author's own, whose licence is for the author to name"
    return f"{source}, {licence}."


def collect_credits(source: str, inputs: Mapping[str, str]) -> list[str]:
    """Return the credits for the images and the code of a result.

    source, inputs: see `cite_images`.
    """
    return [cite_images(source, inputs), cite_project()]


@cache
def cite_project() -> str:
    """Return a sentence with the project's licence, and how to cite the project."""
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    authors = ", ".join(each["name"] for each in citation["authors"])
    year, version = citation["date-released"].year, citation["version"]
    licence = f"under the {citation['license']} licence"
    return (
        f"{citation['title']}, {licence}. Cite {authors} ({year}), version {version}."
    )


def describe_place(record: RunRecord) -> str:
    """Describe in one line when and where a run was made, and how long it took."""
    begin = f"{record.started:%Y-%m-%d %H:%M} UTC"
    duration = "in several parts"
    if record.duration_s is not None:
        duration = f"in {record.duration_s} seconds"
    where = describe_origins([record.origin])
    made = provenance.describe_making(record)
    return ", ".join(filter(None, (f"{begin} {duration}", made, where)))


def describe_origins(origins: Iterable[Origin | None]) -> str:
    """Describe in one line the machines, versions and commits that made results.

    origins: the origin of each result, or None if it was not recorded. Equal origins
        are described only once.
    """
    places = [
        f"on {each.system}, with {each.blas} and Python {each.python}, "
        f"at commit {each.commit or 'unknown'}"
        for each in origins
        if each
    ]
    return "; ".join(dict.fromkeys(places)) or "on a machine that was not recorded"
