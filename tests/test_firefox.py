"""The report in Firefox, offline from its file, driven through WebDriver BiDi, which Firefox speaks by itself.

References
----------
W3C (2026), WebDriver BiDi, https://www.w3.org/TR/webdriver-bidi/
"""

import json
import os
import re
import shutil
import subprocess
import threading

import pytest
import websocket

from pipeline import published

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
MISSING = "needs a browser: neither firefox-esr nor firefox is installed"

# In CI a missing browser must not pass for a success, so there the fixture below fails.
pytestmark = pytest.mark.skipif(FIREFOX is None and os.environ.get("CI") != "true", reason=MISSING)


class Page:
    """One page of a Firefox, with what its console showed."""

    def __init__(self, address):
        self.socket = websocket.create_connection(f"{address}/session", suppress_origin=True, timeout=120)
        self.count, self.console = 0, []
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded"])
        self.context = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def call(self, method, **parameters):
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while (message := json.loads(self.socket.recv())).get("id") != self.count:
            if message.get("method") == "log.entryAdded":
                self.console.append(message["params"]["text"])
        assert message["type"] == "success", message
        return message["result"]

    def evaluate(self, expression):
        target = {"context": self.context}
        found = self.call("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert found["type"] == "success", found
        return found["result"].get("value")

    def until(self, selector, text):
        """Wait for a text in an element, and return all of it."""
        return self.evaluate(f"""new Promise((done) => {{
            const look = () => {{
                const found = document.querySelector({selector!r}).textContent;
                found.includes({text!r}) ? done(found) : setTimeout(look, 50);
            }};
            look();
        }})""")

    def draw(self, kind, places):
        moves = [{"type": "pointerMove", "x": x, "y": y, "duration": 20} for x, y in places]
        actions = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}]
        pointer = {"type": "pointer", "id": kind, "parameters": {"pointerType": kind}, "actions": actions}
        self.call("input.performActions", context=self.context, actions=[pointer])


@pytest.fixture
def page(tmp_path):
    assert FIREFOX, MISSING
    command = [FIREFOX, "--headless", "--no-remote", "--profile", tmp_path, "--remote-debugging-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as firefox:
        try:
            listening = "WebDriver BiDi listening on "
            patience = threading.Timer(120, firefox.kill)  # which ends its lines
            patience.start()
            line = next(line for line in firefox.stderr if line.startswith(listening))
            patience.cancel()
            yield Page(line.removeprefix(listening).strip())
        finally:
            firefox.kill()


def test_the_report_trains_to_the_published_digest_and_reads_a_drawing(page, runs):
    address = (runs / "default" / "report.html").as_uri()
    page.call("browsingContext.navigate", context=page.context, url=address, wait="complete")
    for width in (320, 390):  # the formulas are wider
        page.call("browsingContext.setViewport", context=page.context, viewport={"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Train again').click()")
    assert published.WEIGHTS_SHA256 in page.until(".outcome", "Equal")
    pad = "document.querySelector('[aria-label=\"Drawing pad\"]')"
    page.evaluate(f"{pad}.scrollIntoView({{ block: 'center' }})")
    box = json.loads(page.evaluate(f"JSON.stringify({pad}.getBoundingClientRect())"))
    seven = [(0.3, 0.2), (0.5, 0.2), (0.7, 0.2), (0.6, 0.45), (0.5, 0.65), (0.45, 0.8)]
    places = [(int(box["x"] + x * box["width"]), int(box["y"] + y * box["height"])) for x, y in seven]
    for kind in ("mouse", "touch"):
        page.draw(kind, places)
        assert re.match("This network reads 7, runner-up", page.until(".reads", "runner-up"))
        page.evaluate("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Clear').click()")
        page.until(".reads", "Nothing is drawn yet.")
    assert page.console == []
    page.evaluate("document.querySelector('[name=epochs]').value = 7")
    page.call("browsingContext.reload", context=page.context, wait="complete")
    assert page.evaluate("document.querySelector('[name=epochs]').value") == "100"  # so that it trains the run again
    assert page.evaluate("document.querySelector('.stop').getAttribute('aria-disabled')") == "true"
