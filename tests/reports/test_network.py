"""The network in the page, in Node, against helpers.py: the same bits."""

import base64
import hashlib
import json
import os
import subprocess

import numpy as np
import pytest
from playwright._impl._driver import compute_driver_executable

import helpers
from pipeline import storage
from pipeline.reports.pages import TEMPLATES

NODE = compute_driver_executable()[0]
DRIVER = f"""
import * as network from {json.dumps((TEMPLATES / "network.js").as_uri())};
import * as draw from {json.dumps((TEMPLATES / "draw.js").as_uri())};
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const numbers = (text) => new Float64Array(bytes(text).buffer);
const text = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
const given = JSON.parse(await new Promise((done) => {{
  let read = "";
  process.stdin.on("data", (part) => {{ read += part; }}).on("end", () => done(read));
}}));
const answer = await (async () => {{
"""


def node(script, **given):
    """Run a script that has `network`, `draw` and `given`, and returns what can be written as JSON."""
    source = DRIVER + script + "\n})();\nconsole.log(JSON.stringify(answer));\n"
    command = [NODE, "--input-type=module", "--eval", source]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    if done.returncode == 127 and os.environ.get("CI") != "true":  # a library that it needs is missing
        pytest.skip(f"the Node that comes with playwright does not start: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def encoded(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def decoded(text):
    return np.frombuffer(base64.b64decode(text), "<f8")


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, [1, 1], [2**32 - 1, 1], [5, 4, 3, 2, 1]])
def test_the_random_numbers_are_numpys(seed):
    script = "const r = new network.RandomState(given.seed); const all = [];"
    script += "for (let i = 0; i < 700; i++) all.push(r.sample(), r.next() & 1); return all;"
    rng = np.random.RandomState(seed)
    assert node(script, seed=seed) == [value for _ in range(700) for value in (rng.random_sample(), rng.randint(2))]


@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 65, 1000])
def test_the_digest_is_sha_256(length):
    content = np.random.RandomState(length).bytes(length)
    found = node("return network.sha256(bytes(given.content));", content=base64.b64encode(content).decode())
    assert found == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(("hidden_size", "normalisation"), [(1, 255), (7, 100.5), (64, 1020)])
def test_scores_and_metrics_are_the_same_bits(sample, hidden_size, normalisation):
    images, labels = sample["x_test"][:50].copy(), sample["y_test"][:50]
    images[3, [0, 783]], images[4] = 255, 0
    weights = helpers.initial_weights(np.random.RandomState(hidden_size), hidden_size)
    script = """
    const weights = { first: numbers(given.first), second: numbers(given.second) };
    const [images, labels] = [bytes(given.images), bytes(given.labels)];
    const [hidden, scores] = [new Float64Array(weights.second.length / 10), new Float64Array(500)];
    const scaled = Float64Array.from({ length: 256 }, (_, value) => value / given.normalisation);
    for (let i = 0; i < 50; i++) {
      const image = images.subarray(784 * i, 784 * i + 784);
      network.forward(image, scaled, weights, hidden.map(() => 1), hidden, scores.subarray(10 * i, 10 * i + 10));
    }
    return { scores: text(scores), metrics: network.evaluate(images, labels, weights, given.normalisation) };
    """
    first, second = map(encoded, weights)
    given = {"images": encoded(images), "labels": encoded(labels), "first": first, "second": second}
    found = node(script, **given, normalisation=normalisation)
    expected = helpers.predict(images, *weights, normalisation)
    assert np.array_equal(decoded(found["scores"]).reshape(50, 10), expected)
    assert tuple(found["metrics"]) == helpers.evaluate(images, labels, *weights, normalisation)


PARAMETERS = {"seed": 1, "hidden_size": 40, "learning_rate": 0.005, "learning_rate_decay": 1.0, "epochs": 3}
PARAMETERS |= {"dropout_rate": 0.5, "input_dropout_rate": 0.0, "relu_grad_inactive": 1, "normalisation": 255.0}
CASES = [
    {},
    {"dropout_rate": 0.0, "relu_grad_inactive": 0, "seed": 2**32 - 1},
    {"dropout_rate": 0.3, "hidden_size": 1, "learning_rate_decay": 0.7},
    {"input_dropout_rate": 0.2, "hidden_size": 9, "seed": 7},
    {"input_dropout_rate": 0.8, "dropout_rate": 0.1, "normalisation": 510.0, "learning_rate": 0.02, "seed": 0},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_training_gives_the_same_bits(sample, case):
    chosen = PARAMETERS | case
    images, labels = sample["x_train"][:200], sample["y_train"][:200]
    script = """
    const history = [];
    let last;
    for (last of network.train(bytes(given.images), bytes(given.labels), given.parameters))
      history.push([last.epoch, last.error, last.accuracy]);
    const { first, second } = last.weights;
    return { history, first: text(first), second: text(second), digest: network.digestOf(last.weights) };
    """
    found = node(script, images=encoded(images), labels=encoded(labels), parameters=chosen)
    rng, input_rng = helpers.generators(chosen["seed"])
    weights, history = helpers.initial_weights(rng, chosen["hidden_size"]), []
    names = ("normalisation", "dropout_rate", "input_dropout_rate", "relu_grad_inactive")
    options, rate = {name: chosen[name] for name in names}, chosen["learning_rate"]
    for epoch in range(1, chosen["epochs"] + 1):
        measured = helpers.train_epoch(images, labels, *weights, rng, input_rng, learning_rate=rate, **options)
        history.append([epoch, *measured])
        rate *= chosen["learning_rate_decay"]
    assert found["history"] == history
    for name, matrix in zip(("first", "second"), weights, strict=True):
        assert np.array_equal(decoded(found[name]), matrix.ravel())
    assert found["digest"] == storage.sha256_of(*weights)


def test_the_published_training_has_its_published_digest(sample):
    script = """
    let last;
    for (last of network.train(bytes(given.images), bytes(given.labels), given.parameters));
    return [last.error, last.accuracy, network.digestOf(last.weights)];
    """
    given = {"images": encoded(sample["x_train"][:1000]), "labels": encoded(sample["y_train"][:1000])}
    error, accuracy, digest = node(script, **given, parameters=PARAMETERS | {"epochs": 100})
    assert (error, accuracy) == (pytest.approx(0.42039163449803, abs=1e-14), 0.817)
    assert digest == "ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6"
