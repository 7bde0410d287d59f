"""Who owns the images and the code, and where a result was made."""

from ruamel.yaml import YAML

from pipeline.digests import digest_arrays
from pipeline.execution.machine import collect_origin
from pipeline.images import data
from pipeline.paths import ROOT
from pipeline.reports import origins

OTHER = {"array x_test": "0" * 64}


def test_mnist_is_known_by_its_test_images_whatever_its_file():
    digest = digest_arrays(data.load_source("sample").x_test)
    assert origins.is_mnist("runs/mnist.npz", {"array x_test": digest})
    assert not origins.is_mnist("fashion_mnist", OTHER)


def test_each_source_is_cited_once():
    sources = ("sample", "mnist", "fashion_mnist", "~/pictures")
    mnist, fashion, own, project = origins.collect_credits(
        dict.fromkeys(sources, OTHER)
    )
    assert "Creative Commons Attribution-ShareAlike 3.0" in mnist
    assert "Zalando" in fashion
    assert own.startswith("~/pictures, images of the author's own")
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    assert citation["authors"][0]["name"] in project
    assert f"version {citation['version']}" in project
    assert (ROOT / "LICENSE").read_text().startswith(f"{citation['license']} License")
    assert f"{citation['license']} licence" in project


def test_each_place_is_named_once():
    one = collect_origin()
    other = one.model_copy(update={"processor": "another", "commit": None})
    text = origins.describe_origins([one, other, one, None])
    assert text.count(f"on {one.processor}, ") == 1
    assert text.count("on another, ") == 1
    assert "not recorded" in origins.describe_origins([None])
