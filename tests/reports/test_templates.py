"""The scripts and styles of pages: what they import, and what browsers they need."""

import re
from math import inf

import pytest

from pipeline.paths import NOTEBOOKS
from pipeline.reports import live
from tests.reports.test_page import parse

ENTRIES = [name for name, path in live.SCRIPTS.items() if path.parent.name == "entries"]
# What the floor of browsers lacks: the first Safari, Chrome and Firefox that has it.
# It leaves out what an older browser may ignore, such as text-wrap and field-sizing.
NEWER = {
    "css": {
        r"light-dark\(": (17.5, 123, 120),
        r":has\(": (15.4, 105, 121),
        r"(?m)^[^@{}\n]*\{(?:[^{}]*;)?[^{};@]+\{": (17.2, 120, 117),  # nesting
        r"\dr?lh\b": (16.4, 109, 120),
        r"color-mix\(": (16.2, 111, 113),
        r"\bok(?:lch|lab)\(": (15.4, 111, 113),
        r"\((?:from|in) ": (18, 119, 128),
        r"@scope": (17.4, 118, 146),
        r"@starting-style|allow-discrete": (17.5, 117, 129),
        r"@property": (16.4, 85, 128),
        r"subgrid": (16, 117, 71),
        r":user-(?:in)?valid": (16.5, 119, 88),
        r":dir\(": (16.4, 120, 49),
        r"nth-(?:last-)?child\([^)]* of ": (9, 111, 113),
        r"\b(?:sin|cos|tan|pow|sqrt|hypot)\(": (15.4, 111, 108),
        r"\b(?:round|mod|rem)\(": (15.4, 125, 118),
        r"\blinear\(": (17.2, 113, 112),
        r"anchor(?:-name|\()": (26, 125, 147),
        r"(?:animation|scroll|view)-timeline": (26, 115, inf),
        r"interpolate-size|calc-size\(": (inf, 129, inf),
        r"view-transition": (18, 111, 144),
        r"[\s;{]mask(?:-\w+)?:": (15.4, 120, 53),
        r"[\s;{]backdrop-filter:": (18, 76, 103),
        r"[\s;{]user-select:": (inf, 54, 69),
        r"\{ content: \"[^\"]*\" /": (17.4, 77, 128),  # not after one without a text
        r"(?<!exact; )(?<!webkit-)print-color-adjust": (15.4, 136, 97),
        r"popover": (17, 114, 125),
    },
    "js": {
        r"\b(?:Map|Object)\.groupBy": (17.4, 117, 119),
        r"\.to(?:Sorted|Reversed|Spliced)\(": (16, 110, 115),
        r"Promise\.(?:withResolvers|try)": (17.4, 119, 121),
        r"Array\.fromAsync": (16.4, 121, 115),
        r"\.(?:union|intersection|difference|is(?:Sub|Super)setOf)\(": (17, 122, 127),
        r"\.(?:keys|values|entries)\(\)\s*\.\w": (18.4, 122, 131),
        r"\.(?:aria[A-Z]\w*|role) = ": (12.1, 81, 119),
        r"checkVisibility": (17.4, 105, 106),
        r"getCoalescedEvents": (18.2, 58, 59),
        r"URL\.canParse": (17, 120, 115),
        r"AbortSignal\.any": (17.4, 116, 124),
        r"requestIdleCallback": (inf, 47, 55),
        r"scrollend": (26.2, 114, 109),
        r"startViewTransition": (18, 111, 144),
        r"(?:from|to)(?:Base64|Hex)\(": (18.2, 140, 133),
        r"RegExp\.escape": (18.2, 136, 134),
        r"WellFormed": (16.4, 111, 119),
        r"moveBefore": (inf, 133, 144),
        r"[pP]opover": (17, 114, 125),
    },
    "html.j2": {
        r"popover": (17, 114, 125),
        r"<details[^>]* name=": (17.2, 120, 130),
        r"commandfor": (26.2, 135, 144),
        r"<search\b": (17, 118, 118),
    },
}


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


@pytest.mark.parametrize("suffix", NEWER)
def test_no_page_uses_what_the_floor_of_browsers_lacks(suffix):
    floor = [float(version) for version in re.findall(r"[\d.]+", live.BROWSERS)]
    found = []
    for pattern, versions in NEWER[suffix].items():
        pairs = zip(versions, floor, strict=True)
        assert any(first > lowest for first, lowest in pairs), f"{pattern} is older"
        files = [*live.TEMPLATES.glob(f"*.{suffix}"), *live.SCRIPTS.values()]
        for path in (each for each in files if each.name.endswith(suffix)):
            hits = re.findall(pattern, path.read_text())
            found += [(path.name, pattern, hit) for hit in hits]
    assert found == []


def test_each_colour_has_one_for_the_dark_scheme():
    roots = re.findall(r":root \{(.*?)\}", live.read_style("live"), re.S)
    light, dark = (re.findall(r"(--\w+):", root) for root in roots)
    assert light == dark


def test_readme_and_pages_name_the_floor_of_browsers(runs):
    assert live.BROWSERS in (NOTEBOOKS / "README.md").read_text()
    html = parse((runs / "default" / "report.html").read_text())
    assert live.BROWSERS in html.select_one("main > footer").text
