"""The lesson in Firefox, offline, driven through WebDriver BiDi.

Firefox supports it without a driver: https://www.w3.org/TR/webdriver-bidi/
"""

import json
import os
import shutil
import subprocess

import pytest
import websocket

from tests.commands import wait_for
from tests.lesson.test_builder import write_lesson

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
WAIT = """(name, text) => new Promise((done) => {
    const part = document.querySelector(name);
    const look = () => part.textContent.includes(text) && done(part.textContent);
    const changes = { childList: true, characterData: true, subtree: true };
    new MutationObserver(look).observe(part, changes);
    look();
})"""
no_browser = FIREFOX is None and os.environ.get("CI") != "true"
skip = pytest.mark.skipif(no_browser, reason="needs Firefox")
pytestmark = [skip, pytest.mark.xdist_group("firefox")]


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """Return a function that sends a command to Firefox and returns its result."""
    assert FIREFOX, "needs Firefox"
    profile = tmp_path_factory.mktemp("profile")
    command = [FIREFOX, "--headless", "--no-remote", "--profile", profile]
    command += ["--remote-debugging-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as firefox:
        try:
            address = wait_for(r"WebDriver BiDi listening on (\S+)", firefox.stderr)
            socket = websocket.create_connection(
                f"{address}/session", 120, suppress_origin=True
            )

            def call(method, **parameters):
                message = {"id": 1, "method": method, "params": parameters}
                socket.send(json.dumps(message))
                answer = json.loads(socket.recv())
                assert answer["type"] == "success", answer
                return answer["result"]

            call("session.new", capabilities={})
            yield call
        finally:
            firefox.kill()


class Page:
    """A page on a phone."""

    def __init__(self, call, path):
        self.call = call
        self.context = call("browsingContext.getTree")["contexts"][0]["context"]
        size = {"width": 390, "height": 844}
        self.send("setViewport", viewport=size)
        self.send("navigate", url=path.as_uri(), wait="complete")
        assert self.evaluate("document.documentElement.scrollWidth") <= 390

    def send(self, name, **parameters):
        self.call(f"browsingContext.{name}", context=self.context, **parameters)

    def evaluate(self, expression):
        target = {"target": {"context": self.context}, "awaitPromise": True}
        answer = self.call("script.evaluate", expression=expression, **target)
        return answer["result"].get("value")

    def press(self, name):
        self.evaluate(f"document.querySelector('{name}').click()")

    def wait_for(self, name, text):
        return self.evaluate(f"({WAIT})('{name}', '{text}')")


def test_a_prediction_opens_an_answer_of_the_lesson_and_survives_a_reload(
    call, tmp_path
):
    page = Page(call, write_lesson(tmp_path))
    choice = "document.querySelectorAll('#a-chain .choice')[2]"
    page.press("#a-chain .choice:last-of-type summary")
    assert page.evaluate(f"{choice}.open")
    page.press("#a-chain .prediction ~ .live .update")
    page.wait_for("#a-chain .prediction ~ .live .says", "was 12.5, and is now 12.5")
    page.send("reload", wait="complete")
    assert page.evaluate(f"{choice}.open")
    sheet = page.evaluate("document.querySelector('.sheet tbody').textContent")
    assert "Neither. Right." in sheet
