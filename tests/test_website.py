"""The website of the notebooks, the lesson and two reports."""

import shutil
from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup

from pipeline import website
from pipeline.paths import NOTEBOOKS

READING = "01_prepare learn 02_train 03_evaluate why solutions dropout overfitting"
READING = [*READING.split(), "keras", "explore", "speed", "sweep", "compare"]


class Site:
    """The website of a run, with its pages as text and as trees."""

    def __init__(self, folder):
        self.folder = website.write_site(folder).parent
        paths = self.folder.glob("*.html")
        self.texts = {path.name: path.read_text() for path in paths}
        trees = (BeautifulSoup(text, "html.parser") for text in self.texts.values())
        self.pages = dict(zip(self.texts, trees, strict=True))

    def follow(self, name, way):
        """Return the pages to which one leads, and so on: way is next or prev."""
        found = [name]
        while links := self.pages[found[-1]].select(f".pages [rel={way}]"):
            found.append(links[0]["href"])
        return found


@pytest.fixture(scope="module")
def site(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(runs / "default", folder / "runs" / "of-the-site" / "default")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(website, "RUNS", folder / "runs")
        patch.setattr(website, "SITE_RUNS", {"default": ("The original", {})})
        return Site(folder / "site")


def test_a_site_has_every_notebook_and_every_link_leads_somewhere(site):
    stems = {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    guides = {"glossary", "own-network", "teaching", "worksheet", "worksheet-key"}
    stems_of_pages = {"index", "default", "lesson"} | guides | stems
    assert site.pages.keys() == {f"{stem}.html" for stem in stems_of_pages}
    for name, page in site.pages.items():
        for link in page.select("a[href]"):
            scheme, _, path, _, fragment = urlsplit(link["href"])
            if scheme not in ("http", "https", "data"):
                assert (site.folder / path).exists(), f"{name}: {link}"
                if fragment and "=" not in fragment:  # else it sets a switch
                    text = site.texts[path or name]
                    assert f'id="{fragment}"' in text, f"{name}: {link}"


def test_the_words_are_on_one_page_and_every_other_page_leads_there(site):
    for name in ("why.html", "default.html"):
        assert not site.pages[name].select(".glossary")
        assert site.pages[name].select('a[href="glossary.html"]')
    assert site.pages["glossary.html"].select("tr")


def test_each_page_of_a_site_leads_to_the_next_and_back(site):
    index = site.pages["index.html"]
    order = [link["href"] for link in index.select("ol li > a:first-child")]
    assert order == [f"{stem}.html" for stem in READING]
    assert site.follow(order[0], "next") == order
    assert site.follow(order[-1], "prev") == order[::-1]
    for name in [*order, "default.html", "glossary.html", "teaching.html"]:
        assert site.pages[name].select('.over a[href="index.html"]')


def test_a_site_begins_with_the_lesson_and_has_the_result_of_its_run(site):
    text = site.pages["index.html"].text
    assert "Train the network. " in text
    assert text.index("the lesson") < text.index("The original: 79.42 %")
    for part in (".drawing", ".steps", ".training .train", ".class", ".sheet"):
        assert len(site.pages["lesson.html"].select(part)) == 1
        assert not site.pages["learn.html"].select(part)
