"""Whose the images and the code are, and the README.txt of runs and sweeps."""

import pytest
from ruamel.yaml import YAML

from pipeline.digests import digest_arrays
from pipeline.images import data
from pipeline.paths import ROOT
from pipeline.records import RunRecord, Software
from pipeline.reports import origins

SOFTWARE = Software(version="9.9", commit="c" * 40, changed=[])
OTHER = {"array x_test": "0" * 64, "version python": "3.1"}


def make_record(source, inputs=OTHER, software=SOFTWARE):
    values = {"inputs": inputs, "software": software}
    return RunRecord(parameters={"source": source}, **values)


def read_readme(record, is_published=True):
    return " ".join(origins.make_run_readme(record, "r", is_published).split())


def test_mnist_is_known_by_its_test_images_whatever_its_file():
    inputs = {"array x_test": data.load_source("sample").source_sha256["x_test"]}
    assert origins.find_images("runs/mnist.npz", inputs) is origins.MNIST
    assert origins.find_images("mnist", OTHER) is origins.MNIST
    assert origins.find_images("fashion_mnist", OTHER) is origins.FASHION_MNIST
    own = origins.find_images("/somewhere/else/pictures", OTHER)
    assert (own.name, own.is_own) == ("pictures", True)
    array = data.load_source("sample").x_test
    assert digest_arrays(array) == origins.MNIST_TEST_IMAGES


def test_the_project_is_cited_as_its_citation_file_says():
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    text = origins.cite_project()
    assert citation["authors"][0]["name"] in text
    assert f"version {citation['version']}" in text
    assert (ROOT / "LICENSE").read_text().startswith(f"{citation['license']} License")
    assert f"{citation['license']} licence" in text


def test_the_readme_of_a_run_says_what_to_send_and_how_to_check_it():
    text = read_readme(make_record("sample"))
    assert "data.npz, which is most of it, may stay away" in text
    assert "Creative Commons Attribution-ShareAlike 3.0" in text
    made_by = f"9.9, commit {'c' * 40}, without changes, and Python 3.1. To check"
    assert made_by in text
    assert " ".join((ROOT / "LICENSE").read_text().split()) in text
    assert "python -m pipeline verify runs/r" in text
    assert "cp " not in text
    text = read_readme(make_record("~/pictures"), is_published=False)
    assert "also data.npz, because nobody else has its images" in text
    assert "pictures, images of the author's own" in text
    assert "~" not in text
    assert "cp runs/r/helpers.py.txt helpers.py" in text
    assert "verify runs/r git checkout helpers.py" in text


@pytest.mark.parametrize(
    ("software", "expected"),
    [
        (None, "in a version that was not recorded"),
        (Software(version="9.9"), "from a folder that git does not know"),
        (SOFTWARE.model_copy(update={"changed": ["helpers.py"]}), "in helpers.py, and"),
    ],
)
def test_the_readme_says_which_version_it_was(software, expected):
    text = read_readme(make_record("sample", software=software))
    assert expected in text
    assert "have to be sent" not in text


def test_changes_that_no_commit_has_are_to_be_sent():
    software = SOFTWARE.model_copy(update={"changed": ["helpers.py", "pipeline/a.py"]})
    text = read_readme(make_record("sample", software=software))
    assert "with the changes, which have to be sent, too" in text


def test_the_readme_of_a_sweep_asks_for_sources_of_ones_own():
    inputs = {"sample": OTHER, "~/pictures": OTHER}
    text = origins.make_sweep_readme("s", inputs, SOFTWARE, True)
    text = " ".join(text.split())
    assert "send this source with it: pictures." in text
    assert "python -m pipeline verify runs/sweeps/s" in text
    del inputs["~/pictures"]
    text = origins.make_sweep_readme("s", inputs, SOFTWARE, True)
    assert "send this source" not in text
