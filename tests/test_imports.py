"""Modules and scripts import in the order in which the map of CONTRIBUTING has them."""

import re

from pipeline.paths import ROOT
from tests.results.test_provenance import find_imports

SCRIPTS = ["compute", "show", "parts", "entries"]


def test_a_module_imports_only_from_its_own_row_and_from_those_above_it():
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    rows = [
        re.findall(r"\w+", row) for row in re.findall(r"^\| (`.*?) \|", guide, re.M)
    ]
    places = {name: place for place, row in enumerate(rows) for name in row}
    paths = {path for path in ROOT.glob("pipeline/**/*.py") if path.stem != "__init__"}
    for path in paths:
        own = path.relative_to(ROOT / "pipeline").parts[0].removesuffix(".py")
        for name in find_imports(path):
            house, _, rest = name.partition(".")
            assert house != "lesson", (path, name)
            if house == "pipeline" and rest:
                assert places[rest.split(".")[0]] <= places[own], (path, name)


def test_a_script_imports_only_from_its_own_folder_and_from_earlier_ones():
    paths = [*ROOT.glob("pipeline/**/*.js"), *ROOT.glob("lesson/**/*.js")]
    assert {path.parent.name for path in paths} == set(SCRIPTS)
    for path in paths:
        for target in re.findall('^import .* from "(.*)"', path.read_text(), re.M):
            folders = [path.parent.name, (path.parent / target).parent.name]
            own, imported = map(SCRIPTS.index, folders)
            assert imported <= own, (path, target)
