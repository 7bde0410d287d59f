"""A command writes over what this project has made, and over nothing else."""

import os
from pathlib import Path

import pytest

from pipeline import outputs, storage
from pipeline.errors import InvalidParameter, InvalidRecord
from pipeline.reports import pages


def refuses(place, message, files=(), is_ours=lambda: True):
    with pytest.raises(InvalidParameter, match=message):
        outputs.check("place is given", place, dict.fromkeys(files, is_ours))


@pytest.mark.parametrize("place", [".", "notebooks", "notebooks/data/x", "tests", ".git/x", "runs/..", "link"])
def test_the_projects_own_folders_are_refused_also_through_a_link(tmp_path, place):
    (tmp_path / "link").symlink_to(storage.NOTEBOOKS)
    folder = tmp_path / "link" / "x" if place == "link" else storage.project_path(place)
    refuses(folder, "^place is given, where the project's own files are. Choose another")


def test_a_folder_of_the_project_that_is_a_link_is_refused_too(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / ".venv").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(storage, "ROOT", tmp_path / "root")
    for folder in (tmp_path / "root" / ".venv" / "x", tmp_path / "elsewhere" / "x"):
        refuses(folder, "where the project's own files are")


def test_a_folder_below_a_file_is_refused_and_one_that_can_be_made_is_not(tmp_path):
    (tmp_path / "file").touch()
    refuses(tmp_path / "file" / "x", "given, but .*file is not a folder that can be written to. Choose")
    refuses(tmp_path / "file", "given, but .*file is not a folder that can be written to. Choose")
    refuses(tmp_path / "file" / "x", "but .*file is not a folder", [tmp_path / "file" / "x"])
    outputs.check("place is given", tmp_path / "a" / "b", {})
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", [" ", "a\nb", "a\x1b[31m", "\u202ea", "a\udcff", "x" * 250])
def test_a_name_that_cannot_be_shown_is_refused(tmp_path, name):
    refuses(
        tmp_path / name,
        "^place is given, but that name is (empty|not printable|longer than 210 bytes). Choose another one.$",
    )


def test_the_longest_name_that_is_allowed_can_be_written(tmp_path):
    path = tmp_path / ("x" * outputs.MAX_NAME)
    outputs.check("place is given", path, {})
    storage.write_whole(path, b"")
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_there_or_empty_or_ours_may_be_written_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    for content, is_ours in ((None, False), (b"", False), (b"x", True), (b"x", object())):
        if content is not None:
            path.write_bytes(content)
        outputs.check("place is given", tmp_path, {path: lambda is_ours=is_ours: is_ours})
    refuses(tmp_path, "given, but file was not made by this project. It would be written over: move", [path], bool)
    refuses(path, "given, but it was not made by this project", [path], bool)

    def read():
        raise InvalidRecord(path, "is damaged: at the end")

    refuses(tmp_path, "given, but file is damaged: at the end. It would be", [path], read)
    path.unlink()
    for make in (lambda: path.symlink_to(tmp_path / "x"), lambda: os.mkfifo(path), path.mkdir):
        make()
        refuses(tmp_path, "given, but file ", [path], lambda: outputs.is_page(path))
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_lock_may_not_be_written_over_though_it_is_empty(tmp_path):
    (tmp_path / storage.LOCK).touch()
    refuses(tmp_path / storage.LOCK, "given, but it is a lock. It would be", [tmp_path / storage.LOCK])


def test_a_page_is_not_written_in_place_of_a_folder_that_is_named_by_dots(tmp_path):
    with pytest.raises(InvalidParameter, match="it is a folder, not a file"):
        outputs.page(tmp_path / "none" / "..", "page")
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_told_by_the_mark_in_its_head(tmp_path):
    path = tmp_path / "page.html"
    page = pages.fill("site.html.j2", title="<title>")
    path.write_text(page)
    assert outputs.is_page(path)
    for other in (page.replace("<meta ", "<meto "), f"<title>{page}", f"<!DOCTYPE html><title>{page}</title>"):
        path.write_text(other)
        assert not outputs.is_page(path)


def test_what_is_made_of_two_sources_or_notebooks_has_two_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = ["digits", "a/digits", "b/digits", "b/train.csv", "runs/why.ipynb"]
    names = [outputs.named_after(tmp_path / place) for place in places]
    assert names == ["digits", "a-digits", "b-digits", "b-train", "runs-why"]
    assert outputs.named_after(Path("/data/digits")) == "data-digits"
    assert outputs.named_after(storage.NOTEBOOKS / "why.ipynb") == "why"
