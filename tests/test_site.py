"""The static site: every page is there, every link leads somewhere, and nobody's files are written over."""

import logging
import re
import shutil
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup

from pipeline import site, storage
from pipeline.errors import InvalidParameter, InvalidRecord


@pytest.fixture(scope="module")
def made(runs, tmp_path_factory):
    """A site of the committed notebooks and of one run, in a folder of its own."""
    folder = tmp_path_factory.mktemp("of-a-site")
    shutil.copytree(runs / "default", folder / "runs" / "default")
    with mock.patch.object(site, "SHOWN", {"default": {}}):
        yield site.write_site(folder / "site", folder / "runs")


def test_a_site_has_every_notebook_and_every_link_leads_to_a_page_or_a_place_in_it(made):
    pages = {path.name: path.read_text() for path in made.parent.iterdir()}
    assert set(pages) == {"index.html", "default.html"} | {
        f"{path.stem}.html" for path in storage.NOTEBOOKS.glob("*.ipynb")
    }
    followed = 0
    for name, page in pages.items():
        for address in re.findall(r'<a [^>]*href="([^"]*)"', page):
            scheme, _, path, _, fragment = urlsplit(address)
            if scheme in ("http", "https", "data"):
                continue
            assert (path or name) in pages, f"{name} leads to {address}"
            assert not fragment or f'id="{fragment}"' in pages[path or name], f"{name} leads to {address}"
            followed += bool(path)
    assert followed > 30
    text = BeautifulSoup(pages["index.html"], "html.parser").get_text()
    assert "The original, as it was published: 79.42 %" in text
    assert "Train the network. " in text


def test_a_notebook_that_a_user_adds_is_in_no_site(tmp_path, monkeypatch):
    committed = site.listed()
    shutil.copy(storage.NOTEBOOKS / "README.md", tmp_path)
    (tmp_path / "Untitled.ipynb").touch()
    monkeypatch.setattr(storage, "NOTEBOOKS", tmp_path)
    assert site.listed() == committed


def test_a_site_is_written_again_but_not_over_other_files(made, tmp_path):
    made.write_text(made.read_text().replace("Digits by hand", "Old"))
    assert "Digits by hand" in site.write_site(made.parent, made.parent.parent / "runs").read_text()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("mine")
    with pytest.raises(InvalidParameter, match="mine, but index.html was not made by this project. It would be"):
        site.write_site(tmp_path / "mine", tmp_path / "runs")
    assert [path.name for path in Path(tmp_path / "mine").iterdir()] == ["index.html"]
    assert (tmp_path / "mine" / "index.html").read_text() == "mine"


@pytest.mark.parametrize(
    "cells", [[], ["# A title alone"], ["A purpose\n\nwithout a title"], ["# A title", "its purpose"]]
)
def test_a_notebook_without_a_title_and_a_purpose_is_named_before_anything_is_done(
    cells, tmp_path, monkeypatch, caplog
):
    cells = [nbformat.v4.new_markdown_cell(text) for text in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "own.ipynb")
    (tmp_path / "README.md").write_text("| [own](own.ipynb) |\n")
    (tmp_path / "Untitled.ipynb").touch()
    caplog.set_level(logging.INFO, "pipeline")
    monkeypatch.setattr(storage, "NOTEBOOKS", tmp_path)
    with pytest.raises(InvalidRecord, match=r"own.ipynb does not begin with a cell .* restore it: git checkout"):
        site.write_site(tmp_path / "site", tmp_path / "runs")
    assert "Left out, since notebooks/README.md does not list them: Untitled" in caplog.messages
    (tmp_path / "own.ipynb").unlink()
    with pytest.raises(InvalidRecord, match=r"own.ipynb is not there. .* restore it: git checkout"):
        site.write_site(tmp_path / "site", tmp_path / "runs")
    assert not (tmp_path / "site").exists()
    assert not (tmp_path / "runs").exists()


def test_the_folder_where_one_stands_is_named_by_its_path(tmp_path, monkeypatch, pipeline):
    (tmp_path / "index.html").write_text("mine")
    monkeypatch.chdir(tmp_path)
    refused = pipeline("site", ".")
    assert refused.returncode == 2
    assert f"The site's folder is {tmp_path}, but index.html was not made by this project." in refused.stderr
