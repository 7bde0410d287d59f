"""Who owns the images and the code, and where a result was made."""

from ruamel.yaml import YAML

from pipeline.images import data
from pipeline.paths import ROOT
from pipeline.reports import origins


def test_the_authors_of_images_are_cited_whatever_their_file():
    digests = data.load_source("sample").source_sha256
    inputs = {f"array {name}": digest for name, digest in digests.items()}
    mnist, project = origins.collect_credits("runs/mnist.npz", inputs)
    other = inputs | {"array x_test": "0" * 64}
    fashion, _ = origins.collect_credits("fashion_mnist", other)
    own, _ = origins.collect_credits("~/pictures", other)
    assert "Creative Commons Attribution-ShareAlike 3.0" in mnist
    assert "Zalando" in fashion
    assert own.startswith("~/pictures, images of the author's own")
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    assert citation["authors"][0]["name"] in project
    assert f"version {citation['version']}" in project
    assert (ROOT / "LICENSE").read_text().startswith(f"{citation['license']} License")
    assert f"{citation['license']} licence" in project
