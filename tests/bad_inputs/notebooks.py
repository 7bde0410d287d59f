"""Notebooks that are none, and what in a notebook cannot be shown as it should be."""

import json

from tests.bad_inputs import Case
from tests.bad_inputs.things import BYTES, JSON, NO_FILES, put

CODE = {"cell_type": "code", "id": "a", "metadata": {}, "source": "1", "outputs": [], "execution_count": 1}
TITLE = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# Title\n\nText."}


def notebook(*cells, **changed):
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [TITLE, *cells]} | changed


def prose(text, **changed):
    return notebook({"cell_type": "markdown", "id": "p", "metadata": {}, "source": text} | changed)


def output(**fields):
    return notebook(CODE | {"outputs": [fields]})


def shown(data, **metadata):
    return output(output_type="display_data", data=data, metadata=metadata)


WRONG = {
    "no cells": {"nbformat": 4, "nbformat_minor": 5, "metadata": {}},
    "cells of null": notebook(cells=None),
    "cells that are an object": notebook(cells={}),
    "a cell of null": notebook(None),
    "a cell of text": notebook("text"),
    "a cell without type": notebook({"id": "x", "metadata": {}, "source": ""}),
    "a cell of an unknown type": notebook(CODE | {"cell_type": "magic"}),
    "a cell without source": notebook({"cell_type": "markdown", "id": "x", "metadata": {}}),
    "a source of null": notebook(CODE | {"source": None}),
    "a source of numbers": notebook(CODE | {"source": [1, 2]}),
    "a source that is an object": notebook(CODE | {"source": {"a": 1}}),
    "metadata of a cell of null": notebook(CODE | {"metadata": None}),
    "metadata of a cell that is a list": notebook(CODE | {"metadata": []}),
    "tags of numbers": notebook(CODE | {"metadata": {"tags": [1]}}),
    "tags of text": notebook(CODE | {"metadata": {"tags": "a"}}),
    "outputs of null": notebook(CODE | {"outputs": None}),
    "outputs of text": notebook(CODE | {"outputs": "x"}),
    "an output of null": notebook(CODE | {"outputs": [None]}),
    "an output without type": output(name="stdout", text="x"),
    "an output of an unknown type": output(output_type="smell", data={}),
    "a stream without text": output(output_type="stream", name="stdout"),
    "a stream of numbers": output(output_type="stream", name="stdout", text=[1]),
    "a picture of null": shown({"image/png": None}),
    "a picture of numbers": shown({"image/png": [1, 2]}),
    "data that is a list": output(output_type="display_data", data=[], metadata={}),
    "an error without traceback": output(output_type="error", ename="E", evalue="x"),
    "a traceback of numbers": output(output_type="error", ename="E", evalue="x", traceback=[1]),
    "a count of text": notebook(CODE | {"execution_count": "one"}),
    "metadata of null": notebook(metadata=None),
    "metadata that is a list": notebook(metadata=[]),
    "a language of numbers": notebook(CODE, metadata={"language_info": {"name": 7}}),
    "a language that is a list": notebook(CODE, metadata={"language_info": []}),
    "version 0": notebook(nbformat=0),
    "version 99": notebook(nbformat=99),
    "a version of text": notebook(nbformat="four"),
    "a version of null": notebook(nbformat=None),
    "no version": {"cells": []},
    "a minor version of text": notebook(nbformat_minor="x"),
    "an attachment of null": prose("![x](attachment:a.png)", attachments=None),
    "attachments of text": prose("![x](attachment:a.png)", attachments={"a.png": "x"}),
    "a sheet of version 3 that is null": {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [None]},
    "worksheets of text": {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": "x"},
    "version 1": {"nbformat": 1, "cells": []},
    "an id of 100 letters": notebook(CODE | {"id": "x" * 100}),
    "an id of markup": notebook(CODE | {"id": '"><script>'}),
}
REMARKED = {  # what is shown as its source, with a remark in the page
    "a formula that is cut": prose(r"$\frac{1}{$ and $$\begin{matrix} a$$"),
    "an unknown command": prose(r"$\frobnicate{x}$"),
    "a fraction of nothing": prose(r"$\frac$"),
    "a missing brace": prose(r"$\sqrt{2$"),
    "a left without right": prose(r"$\left( x$"),
    "an end without begin": prose(r"$\end{matrix}$"),
    "too many scripts": prose(r"$x^^2$ and $x__1$ and $x^1^2$"),
    "an empty formula": prose("$$ $$"),
    "a formula of ampersands": prose("$& & &$"),
    "a wrong limit": prose(r"$\limits_{x}$"),
    "a wrong size": prose(r"$\rule{a}{b}$"),
    "a wrong colour": prose(r"$\color{x$"),
    "a deep formula": prose("$" + "{" * 3000 + "x" + "}" * 3000 + "$"),
    "a deep formula of roots": prose("$" + r"\sqrt{" * 2000 + "x" + "}" * 2000 + "$"),
    "a text of 30,000 letters": prose("word " * 6000),
    "ten thousand begins": prose(r"\begin{a}" * 10_000),
    "a missing attachment": prose("![a picture](attachment:none.png)"),
    "an attachment of another name": prose("![x](attachment:a.png)", attachments={"b.png": {"image/png": "iVBO"}}),
    "an attachment without data": prose("![x](attachment:a.png)", attachments={"a.png": {}}),
}
SHOWN = {  # what is shown as it is, as data
    "a picture that is none": shown({"image/png": "no base64!"}),
    "a width of markup": shown(
        {"image/png": "iVBORw0KGgo="}, **{"image/png": {"width": '"><script>alert(1)</script>'}}
    ),
    "an alternative of markup": shown(
        {"image/png": "iVBORw0KGgo="}, **{"image/png": {"alt": '"><script>alert(1)</script>'}}
    ),
    "output of scripts": output(output_type="stream", name="stdout", text="</pre><script>alert(1)</script>"),
    "output of escapes": output(output_type="stream", name="stdout", text="\x1b[31mred\x1b[0m\x1b]0;title\x07\u202e"),
    "an error of markup": output(
        output_type="error", ename="<b>", evalue="</script>", traceback=["<script>alert(1)</script>"]
    ),
    "a page that leads away": prose(
        '<META http-equiv="refresh" content="0;url=https://example.com/"><base href="https://example.com/">'
        '<form action="https://example.com/"><iframe src="https://example.com/"></iframe></form>'
    ),
    "tables that do not end": prose("<table>" * 2500),
    "an unknown lexer": notebook(CODE, metadata={"language_info": {"name": "x", "pygments_lexer": "../../x"}}),
    "templates": prose("# {{ 7 * 7 }} {% raw %}\n\n{{ config }}"),
    "a heading of markup": prose("## </script><script>alert(1)</script>"),
    "a link to a script": prose(r"$\href{javascript:alert(1)}{x}$ and [y](javascript:alert(1))"),
    "text in a formula": prose(r"$\text{<script>alert(1)</script>}$"),
    "a surrogate": prose("a \ud800 b"),
    "an unknown kind of output": shown({"application/x-thing": "x"}),
    "a control": shown({"application/vnd.jupyter.widget-view+json": {"model_id": "</script>"}}),
    "a drawing with a script": shown({"image/svg+xml": "<svg><script>alert(1)</script></svg>"}),
    "no id": notebook({key: value for key, value in CODE.items() if key != "id"}),
    "ids twice": notebook(CODE, CODE),
    "version 4.0": notebook(nbformat_minor=0, cells=[{k: v for k, v in CODE.items() if k != "id"}]),
    "no cells": notebook(cells=[]),
    "version 3": {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [], "metadata": {}}]},
    "a code cell alone": notebook(cells=[CODE]),
}


def cases():
    for label, thing in {**NO_FILES, **BYTES, **JSON, **WRONG}.items():
        yield _report("notebooks", label, thing, "bad.ipynb")
    for label, thing in [*list((NO_FILES | BYTES).items()), *list(WRONG.items())[::3]]:
        yield Case("notebooks", f"{label}, executed", lambda f, thing=thing: _execute(f, thing), "bad.ipynb")
    for label, thing in REMARKED.items():
        yield _report("formulas", label, thing, "", 0, ("new.html",))
    for label, thing in SHOWN.items():
        yield _report("shown as data", label, thing, "", 0, ("new.html",))


def _report(surface, label, thing, says, code=2, writes=()):
    def make(folder):
        put(folder / "bad.ipynb", json.dumps(thing) if isinstance(thing, dict) else thing)
        return ["report", folder / "bad.ipynb", "--output", folder / "new.html"]

    return Case(surface, label, make, says, code, writes)


def _execute(folder, thing):
    put(folder / "bad.ipynb", json.dumps(thing) if isinstance(thing, dict) else thing)
    return ["notebooks", folder / "bad.ipynb"]
