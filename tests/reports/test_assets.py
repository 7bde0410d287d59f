"""Scripts, styles and templates that are looked up in several folders, and bundled."""

import pytest

from pipeline.reports.assets import Assets


@pytest.fixture
def folders(tmp_path):
    """Two folders with a script each; the second one imports from the first."""
    for house, name, text in (
        ("a", "one", "export const one = 1;\n"),
        ("b", "two", 'import { one } from "../../../a/scripts/parts/one.js";\none;\n'),
    ):
        (tmp_path / house / "templates").mkdir(parents=True)
        (tmp_path / house / "scripts" / "parts").mkdir(parents=True)
        (tmp_path / house / "templates" / f"{name}.css").write_text("a {} /* b */")
        (tmp_path / house / "scripts" / "parts" / f"{name}.js").write_text(text)
    return tmp_path / "a", tmp_path / "b"


def test_files_are_found_in_all_folders_and_scripts_after_what_they_import(folders):
    assets = Assets(*folders)
    assert assets.collect_scripts("two") == ["one", "two"]
    assert "return { one }" in assets.read_script("one")
    assert "const { one } = one_js;" in assets.read_script("two")
    assert [assets.read_style(name) for name in ("one", "two")] == ["a {}"] * 2


@pytest.mark.parametrize("name", ["templates/one.css", "scripts/parts/one.js"])
def test_a_name_in_two_folders_is_refused(folders, name):
    (folders[1] / name).write_text("")
    with pytest.raises(ValueError, match="one"):
        Assets(*folders)


@pytest.mark.parametrize(
    "line",
    [
        "export let three = 3;",
        "export { three };",
        "export default three;",
        'import three from "./three.js";',
        'import { one as three } from "./one.js";',
    ],
)
def test_what_cannot_be_bundled_is_refused_with_the_name_of_its_file(folders, line):
    (folders[0] / "scripts" / "parts" / "three.js").write_text(
        f"const three = 3;\n{line}\n"
    )
    with pytest.raises(ValueError, match=r"three\.js"):
        Assets(*folders).read_script("three")
