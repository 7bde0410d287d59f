"""The scripts and styles of pages: what they import, and what browsers they need."""

import re

import pytest

from pipeline.paths import NOTEBOOKS
from pipeline.reports import live
from tests.reports.test_page import parse

ENTRIES = [name for name, path in live.SCRIPTS.items() if path.parent.name == "entries"]


@pytest.mark.parametrize("entry", ENTRIES)
def test_each_script_follows_what_it_imports_and_gets_what_it_names(entry):
    names = live.collect_scripts(entry)
    assert names[-1] == entry
    assert len({*names}) == len(names)
    for place, name in enumerate(names):
        for wanted, other in live.IMPORT.findall(live.read_module(name)):
            assert other in names[:place]
            exports = live.EXPORT.findall(live.read_module(other))
            assert {*re.findall(r"\w+", wanted)} <= {*exports}


def test_scripts_import_from_their_room_and_those_before_and_each_is_in_a_page():
    rooms = {name: path.parent.name for name, path in live.SCRIPTS.items()}
    for name, room in rooms.items():
        for _, other in live.IMPORT.findall(live.read_module(name)):
            order = [live.ROOMS.index(each) for each in (rooms[other], room)]
            assert order == sorted(order), (name, other)
    assert {*live.collect_scripts(*ENTRIES)} == {*live.SCRIPTS}


def test_readme_and_pages_name_the_floor_of_browsers(runs):
    assert live.BROWSERS in (NOTEBOOKS / "README.md").read_text()
    html = parse((runs / "default" / "report.html").read_text())
    assert live.BROWSERS in html.select_one("main > footer").text
