import base64
import itertools
import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from pipeline import storage
from pipeline.reports import rendering
from pipeline.reports.pages import WIDGET


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=list(cells), metadata={"language_info": {"name": "python"}})


def prose(text):
    return nbformat.v4.new_markdown_cell(text)


def code(source, *outputs):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs))


def rendered(*cells, **others):
    return BeautifulSoup(rendering.render({"02_train": notebook(*cells), **others}, "A title"), "html.parser")


def check_structure(page):
    """One title, headings that nest, no anchor twice, and every link within the page leading to one."""
    assert page.html["lang"] == "en"
    levels = [int(heading.name[1]) for heading in page.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    anchors = [element["id"] for element in page.find_all(id=True)]
    assert len(set(anchors)) == len(anchors)
    links = {link["href"].removeprefix("#") for link in page.find_all("a") if link["href"].startswith("#")}
    assert links <= set(anchors)


@pytest.fixture(scope="session")
def run_report(shared, pipeline):
    def make(folder):
        done = pipeline("run", "--run-dir", folder, "-p", "epochs", "2", "-p", "relu_grad_inactive", "0")
        assert done.returncode == 0, done.stderr

    return BeautifulSoup((shared("report", make) / "report.html").read_text(), "html.parser")


def check_nothing_is_fetched(page):
    assert not page.find_all(["link", "iframe", "object", "embed"])
    assert not page.find_all("script", src=True)
    assert all(image["src"].startswith("data:") for image in page.find_all("img"))
    assert not re.search(r"@import|url\((?!data:)", str(page.find("style")))


def test_figures_are_numbered_through_the_page_and_captioned_by_their_text_alternatives():
    new = nbformat.v4

    def notebook(*alternatives):
        data, cells = {"image/png": base64.b64encode(b"png").decode()}, [new.new_markdown_cell("# Title")]
        for alt in alternatives:
            output = new.new_output("display_data", data, metadata={"image/png": {"alt": alt}})
            cells.append(new.new_code_cell("show()", outputs=[output]))
        return new.new_notebook(cells=cells)

    page = rendering.render({"a": notebook("x < y", "second"), "b": notebook("third")}, "Title")
    captions = [caption.text.strip() for caption in BeautifulSoup(page, "html.parser").select("figcaption")]
    assert captions == ["Figure 1. x < y", "Figure 2. second", "Figure 3. third"]


def test_what_stands_before_the_first_section_is_folded_but_not_an_error_nor_a_table_of_results():
    new, table = nbformat.v4, "| word | meaning |\n| --- | --- |\n| a | b |\n\n| | |\n| --- | --- |\n| reads | c |"
    title, section = new.new_markdown_cell(f"# Title\n\nPurpose.\n\n{table}"), new.new_markdown_cell("## Section")
    code = new.new_code_cell("1 + 1")

    def page_of(*cells):
        return BeautifulSoup(rendering.render({"a": new.new_notebook(cells=list(cells))}, "Title"), "html.parser")

    folded = page_of(title, code, section).select_one("details.set-up")
    assert "open" not in folded.attrs
    assert all(text in folded.text for text in ("reads", "1 + 1"))
    assert not any(text in folded.text for text in ("meaning", "Section"))
    code.outputs = [new.new_output("error", ename="InvalidParameter", evalue="no", traceback=["no"])]
    assert "open" in page_of(title, code, section).select_one("details.set-up").attrs
    page = page_of(new.new_markdown_cell("# Title\n\n## Section"), code)
    assert len(page.select("h1")) == 1
    assert not page.select("details.set-up")


def test_nothing_is_fetched(run_report):
    check_nothing_is_fetched(run_report)
    assert all(link["href"].startswith(("#", "https://")) for link in run_report.find_all("a"))


def test_code_is_folded_and_every_picture_described(run_report):
    sources = run_report.find_all("details", class_="source")
    assert len(sources) > 20
    assert not any(source.has_attr("open") for source in sources)
    assert all(source.summary.text == "Code" for source in sources)
    assert all(block.find_parent("details") for block in run_report.find_all("div", class_="highlight"))
    assert len(run_report.find_all("img")) == 8
    assert all(len(image["alt"]) > 30 for image in run_report.find_all("img"))


def test_the_summary_compares_with_the_published_metrics(run_report):
    rows = [[cell.text for cell in row.find_all(["th", "td"])] for row in run_report.select("table.metrics tbody tr")]
    assert [row[:2] for row in rows] == [
        ["train error", "0.420"],
        ["train accuracy", "0.817"],
        ["test error", "0.429"],
        ["test accuracy", "0.7942"],
    ]
    assert {len(row) for row in rows} == {3}  # with other parameters nothing is meant to be equal
    assert "epochs 2" in run_report.select_one("section").text
    assert re.search(r"python -m pipeline run --run-dir \S+ -p epochs 2 -p relu_grad_inactive 0\n", run_report.text)


def test_it_shows_where_everything_came_from(run_report):
    changed = [row.th.text for row in run_report.select("tr.changed")]
    assert changed == ["epochs", "relu_grad_inactive"]
    assert all(word in run_report.text for word in ("helpers.py", "02_train.ipynb", "numpy", "numba"))
    digests = {row.th.text: row.td.text for row in run_report.select("table.digests tbody tr")}
    arrays = {f"the source's {name}" for name in ("x_train", "y_train", "x_test", "y_test")}
    notebooks = {"01_prepare.ipynb", "02_train.ipynb", "03_evaluate.ipynb"}
    code = {name for name in digests if name.endswith(".py")}
    assert set(digests) == arrays | notebooks | {"the trained weights"} | code
    assert {"helpers.py", "pipeline/parameters.py", "pipeline/datasets.py"} <= code
    assert "pipeline/runs.py" not in code  # which no notebook of a run imports
    assert digests["helpers.py"] == storage.sha256_of_file(storage.ROOT / "helpers.py")
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests.values())


def test_headings_nest_and_the_contents_lead_to_them(run_report):
    check_structure(run_report)
    assert len(run_report.nav.find_all("a")) > 15


def test_paper_gets_light_colours_and_neither_contents_nor_folded_code(run_report):
    style = run_report.style.text
    dark = re.findall(r"@media ([^{]*prefers-color-scheme: dark[^{]*)\{", style)
    assert set(dark) == {"screen and (prefers-color-scheme: dark) "}
    printed = style.split("@media print")[1]
    (hidden,) = re.findall(r"([^}]+) \{ display: none; \}", printed)
    left_out = {"nav", ".skip", ".action", "progress", "details:not([open])"}
    assert {part.strip() for part in hidden.split(",")} == left_out
    (whole,) = re.findall(r"\n  (img.*) \{ break-inside: avoid; \}", printed)
    assert {"img", "table", "pre"} <= set(whole.split(", "))


@pytest.mark.parametrize("path", sorted(storage.NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_renders_by_itself(path, tmp_path, pipeline):
    done = pipeline("report", path, "--output", tmp_path / "report.html")
    assert done.stdout == f"report: {tmp_path / 'report.html'}\n"
    page = BeautifulSoup((tmp_path / "report.html").read_text(), "html.parser")
    check_structure(page)
    check_nothing_is_fetched(page)
    assert page.title.text == page.h1.text
    for element in page.find_all(["pre", "code"]):
        element.decompose()
    assert "$" not in page.main.text  # mathematics that was not rendered
    text = "".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
    assert len(page.find_all("math")) == len(re.findall(r"\$\$[^$]+\$\$|\$[^$]+\$", text))


def test_mathematics_needs_no_script_and_a_long_formula_is_scrolled_by_keyboard():
    page = rendered(prose("Inline $x_1$ and\n\n$$h = \\max(0, x W_1)$$"))
    inline, block = page.find_all("math")
    assert (inline["display"], block["display"]) == ("inline", "block")
    assert (block.parent["class"], block.parent["tabindex"]) == (["formula"], "0")  # Firefox scrolls no formula itself
    assert block.find("mi") is not None
    assert "$" not in page.main.text


@pytest.mark.parametrize(
    "formula",
    [r"\frac{1}{", r"\text{<script>alert(1)</script>}", r"\text{</mtext><img src=x>}", r"\href{javascript:x}{y}"],
)
def test_a_formula_that_is_none_is_shown_as_it_was_typed_with_a_remark(formula):
    page = rendered(prose(f"Inline ${formula}$ and $x$"))
    assert page.main.code.text == formula
    assert "This formula cannot be shown." in page.main.text
    assert len(page.main.find_all("math")) == 1
    assert not page.main.find_all(["script", "img"])


def test_an_attached_picture_is_shown_and_a_missing_one_named():
    cell = prose("![one](attachment:a.png) ![two](attachment:b.png) [three](javascript:alert)")
    cell.attachments = {"a.png": {"image/png": "iVBORw0KGgo="}}
    page = rendered(cell)
    assert page.main.img["src"] == "data:image/png;base64,iVBORw0KGgo="
    assert "![two](attachment:b.png) (This picture is missing.)" in page.main.text
    assert "javascript" not in page.main.a["href"]


def test_the_name_of_a_notebook_is_no_markup():
    page = BeautifulSoup(rendering.render({'"><b onclick="x': notebook(prose("# A\n\n## B"))}, "t"), "html.parser")
    check_structure(page)
    assert not page.find_all("b")


def test_links_to_notebooks_in_the_report_stay_in_it_and_others_become_text():
    page = rendered(
        prose("# Train\n\n[on](03_evaluate.ipynb), [code](../helpers.py), [a site](https://example.org)"),
        **{"03_evaluate": notebook(prose("# Evaluate"))},
    )
    links = {link.text: link["href"] for link in page.main.find_all("a")}
    assert links == {"on": "#03_evaluate", "a site": "https://example.org"}
    assert "code" in page.main.text


def test_links_lead_to_a_heading_of_another_notebook():
    links = "[in](b.ipynb#Its-part), [all](b.ipynb#B-title), [out](why.ipynb#Further-reading)"
    pages = {"a": prose(f"# A\n\n{links}"), "b": prose("# B title\n\n## Its part")}
    shown = {name: notebook(cell) for name, cell in pages.items()}
    page = BeautifulSoup(rendering.render(shown, "t", site=["why"]), "html.parser")
    found = [link["href"] for link in page.main.find_all("a")]
    assert found == ["#b-its-part", "#b-b-title", "why.html#why-further-reading"]
    assert page.find(id="b-its-part").name == "h2"
    assert page.find(id="b-b-title").parent["id"] == "b"


def test_a_page_elsewhere_than_its_notebook_has_no_links_from_there(tmp_path):
    html = "<a href=\"a1/report.html\">a1</a> <a class='x' href='b/c.html' target='_blank'>b\n</a>"
    html += '<a href="https://example.org/d">d</a>'
    shown = nbformat.v4.new_output("display_data", data={"text/html": html})
    nbformat.write(notebook(prose("# A"), code("1", shown)), tmp_path / "a.ipynb")
    elsewhere = ["a1/report.html", "b/c.html"]
    for page, links in ((tmp_path / "a.html", elsewhere), (tmp_path / "b" / "a.html", [])):
        rendering.write_notebook_report(tmp_path / "a.ipynb", page)
        found = BeautifulSoup(page.read_text(), "html.parser").main
        assert [link["href"] for link in found.find_all("a")] == [*links, "https://example.org/d"]
        assert "a1 b" in found.text


def test_a_link_to_the_glossary_brings_the_glossary_into_the_page():
    page = rendered(prose("# One\n\nSee the [glossary](README.md#glossary)."))
    check_structure(page)
    (section,) = page.find_all(attrs={"aria-labelledby": "glossary"})
    words = [row.td.text for row in section.tbody.find_all("tr")]
    assert "outer product" in words
    assert "overfitting" in words
    assert not rendered(prose("# One\n\nNone.")).find_all(id="glossary")


def test_outputs_are_shown_and_escaped():
    new = nbformat.v4.new_output
    stream = new("stream", name="stdout", text="<b>5 < 6</b>")
    error = new("error", ename="ValueError", evalue="no", traceback=["\x1b[31mValueError\x1b[0m: no"])
    described = {"image/png": {"alt": "what the picture shows", "width": 90, "height": 40}}
    picture = new("display_data", {"image/png": base64.b64encode(b"\x89PNG").decode()}, metadata=described)
    page = rendered(code("print(1)", stream, picture), code("1/0", error))
    assert "<b>5 < 6</b>" in page.select_one(".output_stdout").text
    assert page.select_one(".output_error").text.strip() == "ValueError: no"
    image = page.find("img")
    assert (image["alt"], image["width"], image["height"]) == ("what the picture shows", "90", "40")


@pytest.mark.parametrize(
    "html", ["<b><div hidden>open", "x</div></details></div>", "<!-- a remark", "<plaintext>", "<table><tr><td title='"]
)
def test_html_that_is_not_whole_changes_nothing_that_follows(html):
    raw = nbformat.v4.new_raw_cell(html, metadata={"raw_mimetype": "text/html", "page": True})
    output = nbformat.v4.new_output("display_data", {"text/html": html, "text/plain": ""})
    first, last = prose("# A title\n\n## The first"), prose("## The last")
    page = rendered(first, prose(f"Words {html}\n\n{html}"), raw, code("1", output), last)
    assert not page.find("plaintext")  # which has no end
    found, expected = (each.find("h2", string="The last").parents for each in (page, rendered(first, last)))
    assert [str(above.name) + str(above.attrs) for above in found] == [
        str(above.name) + str(above.attrs) for above in expected
    ]


LARGE = {
    "links that begin": "<a " * 60_000,
    "captions that begin": "<figcaption " * 60_000,
    "links that never end": '<a href="x/y">' * 20_000,
    "a link with many addresses": "<a " + 'href="x/y" ' * 60_000,
    "a long address": '<a href="' + "/" * 200_000,
    "a caption with many classes": "<figcaption " + 'class="numbered" ' * 60_000,
}  # each of which would take minutes, if the time grew with the square


@pytest.mark.parametrize("html", LARGE.values(), ids=LARGE)
def test_large_html_that_is_not_whole_is_shown_too(html, tmp_path):
    output = nbformat.v4.new_output("display_data", {"text/html": f"<!-- {html} -->"})
    nbformat.write(notebook(prose("# A"), code("1", output), prose("## The last")), tmp_path / "a.ipynb")
    rendering.write_notebook_report(tmp_path / "a.ipynb", tmp_path / "b" / "a.html")
    assert "The last</h2>" in (tmp_path / "b" / "a.html").read_text()


def test_many_equal_headings_and_changes_of_colour_are_shown_too():
    output = nbformat.v4.new_output("stream", text="\x1b[31m5 < 6" * 100_000)
    page = rendering.render(
        {"02_train": notebook(*(prose("## a\n" * 3900) for _ in range(4)), code("1", output))}, "A title"
    )
    found = re.findall(r'<h2 id="([^"]+)"', page)
    assert len(set(found)) == len(found) == 4 * 3900
    assert "5 &lt; 65 &lt; 6" in page
    colours = rendered(code("1", nbformat.v4.new_output("stream", text="\x1b[31mred")))
    assert colours.find(class_="ansi-red-fg").text == "red"


def test_a_picture_without_a_description_is_given_one():
    kinds = {"image/png": "AAAA", "image/jpeg": "AAAA", "image/svg+xml": "<svg/>"}
    outputs = [nbformat.v4.new_output("display_data", {kind: data}) for kind, data in kinds.items()]
    described = nbformat.v4.new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": "A dog"}})
    html = rendering.render({"02_train": notebook(prose("# A title"), code("1", *outputs, described))}, "A title")
    page = BeautifulSoup(html, "html.parser", on_duplicate_attribute="ignore")  # as browsers do
    assert [image["alt"] for image in page.find_all("img")] == ["A picture without a description"] * 3 + ["A dog"]


def test_of_a_widget_the_text_that_stands_for_it_is_shown():
    view = nbformat.v4.new_output(
        "display_data", {WIDGET: {"model_id": "1f"}, "text/plain": "A panel: choose a digit."}
    )
    page = rendered(code("panel", view))
    assert page.select_one(".output").text.strip() == "A panel: choose a digit."
    assert len(page.find_all("script")) == 1  # the page's own


def test_what_is_no_notebook_or_cannot_be_written_is_refused(tmp_path, pipeline):
    (tmp_path / "a.ipynb").write_text("# no notebook")
    place = tmp_path / "a.ipynb" / "report.html"
    for source, output, message in (
        (tmp_path / "a.ipynb", tmp_path / "a.html", "is no notebook"),
        (
            storage.NOTEBOOKS / "01_prepare.ipynb",
            place,
            f"--output is {place}, but {place.parent} is not a folder that can be written to",
        ),
    ):
        refused = pipeline("report", source, "--output", output)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("source", "title", "heading"),
    [
        ("# Read a sweep\n\nText.", "Sweep a_b_c", "Sweep a_b_c"),
        ("# Compare\n\nText.", "<b>$x_1$</b> and *y* [z](w) compared", "<b>$x_1$</b> and *y* [z](w) compared"),
        ("# Read a `sweep`", None, "Read a sweep"),
        ("Text.", None, "mine"),
    ],
)
def test_a_report_is_headed_by_what_it_shows(tmp_path, source, title, heading):
    nbformat.write(notebook(prose(source)), tmp_path / "mine.ipynb")
    rendering.write_notebook_report(tmp_path / "mine.ipynb", tmp_path / "mine.html", title)
    page = BeautifulSoup((tmp_path / "mine.html").read_text(), "html.parser")
    (found,) = page.find_all("h1")
    assert found.get_text().removesuffix("¶") == heading


def test_code_that_is_too_long_to_be_read_is_shown_without_colours():
    for lines, coloured in ((10, True), (50_000, False)):
        cell = nbformat.v4.new_code_cell("x<1\n" * lines)
        page = rendering.render({"n": nbformat.v4.new_notebook(cells=[cell])}, "Code")
        assert ("x&lt;1\nx&lt;1" in page) != coloured


def test_a_page_allows_the_scripts_that_it_has_and_no_others(run_report):
    policies = [page.select_one("meta[http-equiv]")["content"] for page in (rendered(prose("# A")), run_report)]
    assert [policy.count("sha256-") for policy in policies] == [1, 4]
    assert ["worker-src" in policy for policy in policies] == [False, True]


def test_headings_of_the_same_words_or_of_other_alphabets_have_anchors_of_their_own():
    page = rendered(prose("# A\n## Loss\n## Loss\n## 数据\n## 結果"))
    check_structure(page)
    assert [heading["id"] for heading in page.find_all("h2")][:2] == ["02_train-loss", "02_train-loss-2"]


def test_a_comment_in_code_is_no_title(tmp_path):
    nbformat.write(notebook(code("# TODO: delete")), tmp_path / "a.ipynb")
    rendering.write_notebook_report(tmp_path / "a.ipynb", tmp_path / "a.html")
    assert "<title>a</title>" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(("code", "coloured"), [("x = 1", True), ("", True), ("*" * 60_000, False)])
def test_a_line_of_code_that_would_take_minutes_to_colour_is_shown_as_it_is(code, coloured):
    page = rendering.render({"a": nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])}, "A")
    assert code in BeautifulSoup(page, "html.parser").get_text()
    assert ("highlight hl-ipython3" in page) == coloured
