"""The report and the lesson in Firefox, offline, driven through WebDriver BiDi.

Firefox speaks it by itself: https://www.w3.org/TR/webdriver-bidi/
"""

import json
import os
import shutil
import subprocess

import pytest
import websocket

from pipeline.network import published
from pipeline.paths import NOTEBOOKS

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
LISTENING = "WebDriver BiDi listening on "
SEVEN = [(0.3, 0.2), (0.5, 0.2), (0.7, 0.2), (0.6, 0.45), (0.5, 0.65), (0.45, 0.8)]
WAIT = """(name, text) => new Promise(function look(done) {
    const found = document.querySelector(name).textContent;
    found.includes(text) ? done(found) : setTimeout(look, 50, done);
})"""
no_browser = FIREFOX is None and os.environ.get("CI") != "true"
pytestmark = pytest.mark.skipif(no_browser, reason="needs Firefox")


@pytest.fixture
def call(tmp_path):
    """Return a function that sends a command to a Firefox, and returns its result."""
    assert FIREFOX, "needs Firefox"
    command = [FIREFOX, "--headless", "--no-remote", "--profile", tmp_path]
    command += ["--remote-debugging-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as firefox:
        try:
            line = next(line for line in firefox.stderr if line.startswith(LISTENING))
            address = line.removeprefix(LISTENING).strip()
            socket = websocket.create_connection(
                f"{address}/session", suppress_origin=True
            )

            def call(method, **parameters):
                socket.send(
                    json.dumps({"id": 1, "method": method, "params": parameters})
                )
                answer = json.loads(socket.recv())
                assert answer["type"] == "success", answer
                return answer["result"]

            call("session.new", capabilities={})
            yield call
        finally:
            firefox.kill()


def open_page(call, path):
    """Open a page on a phone; return its context, and a function that evaluates."""
    context = call("browsingContext.getTree")["contexts"][0]["context"]

    def evaluate(expression):
        target = {
            "expression": expression,
            "target": {"context": context},
            "awaitPromise": True,
        }
        return call("script.evaluate", **target)["result"].get("value")

    size = {"width": 390, "height": 844}
    call("browsingContext.setViewport", context=context, viewport=size)
    address = path.as_uri()
    call("browsingContext.navigate", context=context, url=address, wait="complete")
    assert evaluate("document.documentElement.scrollWidth") <= 390
    return context, evaluate


def test_the_report_trains_to_the_published_digest_steps_and_reads_a_drawing(
    call, runs
):
    context, evaluate = open_page(call, runs / "default" / "report.html")
    evaluate("document.querySelector('.train').click()")
    assert published.WEIGHTS_SHA256 in evaluate(f"({WAIT})('.outcome', 'Equal')")
    evaluate("document.querySelector('.play').click()")  # the steps of an epoch
    epoch = evaluate(f"({WAIT})('.first-epoch', 'First epoch')")
    assert epoch.startswith("First epoch: error 0.8547, accuracy 0.332; equal to ")
    evaluate("document.querySelector('.pad').scrollIntoView({ block: 'center' })")
    box = "document.querySelector('.pad').getBoundingClientRect()"
    left, top, side = (evaluate(f"{box}.{name}") for name in ("left", "top", "width"))
    places = [(int(left + x * side), int(top + y * side)) for x, y in SEVEN]
    first, *moves = [
        {"type": "pointerMove", "x": x, "y": y, "duration": 20} for x, y in places
    ]
    down, up = ({"type": f"pointer{name}", "button": 0} for name in ("Down", "Up"))
    finger = {"type": "pointer", "id": "finger", "parameters": {"pointerType": "touch"}}
    finger["actions"] = [first, down, *moves, up]
    call("input.performActions", context=context, actions=[finger])
    answer = evaluate(f"({WAIT})('.reads', 'runner-up')")
    assert answer.startswith("This network reads 7, runner-up")


def test_a_prediction_opens_an_answer_of_the_lesson_and_survives_a_reload(call):
    context, evaluate = open_page(call, NOTEBOOKS / "lesson.html")
    answer = "document.querySelectorAll('.answer')[1]"
    row = "document.querySelectorAll('.sheet tbody tr')[1].textContent"
    press = f"{answer}.querySelector('summary').click()"
    evaluate(press)
    assert not evaluate(f"{answer}.open")
    evaluate("document.querySelectorAll('input[type=radio]')[2].click()")
    evaluate(press)
    assert evaluate(f"{answer}.open")
    call("browsingContext.reload", context=context, wait="complete")
    assert evaluate("document.querySelectorAll('input[type=radio]')[2].checked")
    assert "(c) Both become 0." in evaluate(row)
    assert "(c) is right" in evaluate(row)
