"""What modules and scripts may import."""

import re

from pipeline.paths import ROOT
from tests.results.test_provenance import find_imports

SCRIPTS = ["compute", "show", "parts", "entries"]


def find_files(suffix):
    houses = ROOT / "pipeline", ROOT / "lesson"
    return [path for house in houses for path in house.rglob(f"*.{suffix}")]


def test_a_module_imports_only_from_its_own_row_and_from_those_above_it():
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    rows = enumerate(re.findall(r"^\| (`.*?) \|", guide, re.M))
    places = {name: place for place, row in rows for name in re.findall(r"\w+", row)}
    for path in find_files("py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        own, *imported = (
            each.removeprefix("pipeline.").split(".")[0]
            for each in (name, *find_imports(path))
        )
        for each in places.keys() & imported:
            assert places[each] <= places[own], (path, each)


def test_a_script_imports_only_from_its_own_folder_and_from_earlier_ones():
    for path in find_files("js"):
        for target in re.findall('^import .* from "(.*)"', path.read_text(), re.M):
            imported = (path.parent / target).resolve()
            own = SCRIPTS.index(path.parent.name)
            assert SCRIPTS.index(imported.parent.name) <= own, (path, target)
            assert ROOT / "lesson" in path.parents or "lesson" not in imported.parts
