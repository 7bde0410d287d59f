"""The network in a page: its scripts in Node against Python, and the data of a page."""

import base64
import json
import os
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from playwright._impl._driver import compute_driver_executable

import helpers
from lesson.assets import LESSON
from pipeline import digests
from pipeline.images import data
from pipeline.images.arrays import read_arrays
from pipeline.network import compiled, published
from pipeline.parameters import Parameters
from pipeline.paths import NOTEBOOKS
from pipeline.records import RunRecord
from pipeline.reports import live
from pipeline.results.model import Model
from pipeline.results.stage_folder import StageFolder
from tests.commands import wait_for
from tests.conftest import EPOCH, VALIDATED

# The network of the lesson.
ON_PAPER = {
    "weights": [[[-2, 1], [1, 3], [2, -2]], [[1, -1], [3, 1]]],
    "inputs": [1, 0, 2],
    "targets": [1, 0],
}
NODE = compute_driver_executable()[0]
MODULES = ("network", "reading", "sums", "plot", "paper", "groups", "dots")
IMPORTS = "".join(
    f"const {name} = await import({json.dumps(LESSON.scripts[name].as_uri())});\n"
    for name in MODULES
)
# Each line of its input is a script and what the script is given; each line of its
# output is what the script returns.
DRIVER = f"""
import {{ createInterface }} from "node:readline";
globalThis.window = new EventTarget();
const makeElement = (tag) => ({{
  tag,
  children: [],
  setAttribute(name, value) {{ this[name] = value; }},
  append(...texts) {{ this.text = texts.join(""); }},
  appendChild(child) {{ this.children.push(child); return child; }},
  replaceChildren() {{}},
}});
globalThis.document = {{ createElementNS: (_, tag) => makeElement(tag) }};
{IMPORTS}
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const numbers = (text) => new Float64Array(bytes(text).buffer);
const text = ({{ buffer, byteOffset, byteLength }}) =>
  Buffer.from(buffer, byteOffset, byteLength).toString("base64");
const scope = {{ {", ".join(MODULES)}, bytes, numbers, text, makeElement }};
const AsyncFunction = (async () => {{}}).constructor;
for await (const line of createInterface({{ input: process.stdin }})) {{
  const {{ script, given }} = JSON.parse(line);
  const run = new AsyncFunction(...Object.keys(scope), "given", script);
  console.log(JSON.stringify(await run(...Object.values(scope), given)));
}}
"""
NETWORKS = NOTEBOOKS / "data" / "networks.npz"
DRAWINGS = Path(__file__).parents[1] / "data" / "drawings.json"
ZEROS = Model((np.zeros((784, 2)), np.zeros((2, 10))), 255.0)


@pytest.fixture(scope="module")
def run_node():
    """Return a function that runs a script with `given` in one Node for all tests."""
    done = subprocess.run([NODE, "--version"], capture_output=True, text=True)
    if done.returncode == 127 and os.environ.get("CI") != "true":
        pytest.skip(f"the Node of playwright does not start: {done.stderr.strip()}")
    command = [NODE, "--input-type=module", "--eval", DRIVER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as node:

        def run(script, **given):
            line = json.dumps({"script": script, "given": given})
            print(line, file=node.stdin, flush=True)
            return json.loads(wait_for(".+", node.stdout))  # or stderr says why not

        yield run


def encode(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def decode(text, dtype="<f8"):
    return np.frombuffer(base64.b64decode(text), dtype)


def unpack(text, dtype):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype)


CASES = [
    {},
    {"dropout_rate": 0.0, "relu_grad_inactive": 0, "seed": 2**32 - 1},
    {"dropout_rate": 0.3, "hidden_size": 1, "learning_rate_decay": 0.7},
    {"input_dropout_rate": 0.2, "hidden_size": 9, "seed": 7},
    {"input_dropout_rate": 0.8, "dropout_rate": 0.1, "normalisation": 510.0, "seed": 0},
]
TRAIN = """
const history = [];
const labels = bytes(given.labels);
const training = new network.Training(bytes(given.images), labels, given.parameters);
while (history.length < given.parameters.epochs) {
  do training.next();
  while (training.place < labels.length);
  history.push([training.error / labels.length, training.correct / labels.length]);
}
const { first, second } = training.weights;
const others = [bytes(given.others), bytes(given.answers)];
const { normalisation } = given.parameters;
const { weights } = training;
const { error, accuracy } = network.evaluate(...others, weights, normalisation);
const digest = await network.digestOf(training.weights);
const metrics = [error, accuracy];
return { history, metrics, first: text(first), second: text(second), digest };
"""


def train(images, labels, parameters):
    """Return the weights and the history that the compiled loops give."""
    names = "normalisation", "dropout_rate", "input_dropout_rate", "relu_grad_inactive"
    options = {name: getattr(parameters, name) for name in names}
    rng, input_rng = helpers.generators(parameters.seed)
    weights = helpers.initial_weights(rng, parameters.hidden_size)
    history, rate = [], parameters.learning_rate
    for _ in range(parameters.epochs):
        metrics = compiled.train_epoch(
            images, labels, weights, rng, input_rng, learning_rate=rate, **options
        )
        history.append(list(metrics))
        rate *= parameters.learning_rate_decay
    return weights, history


@pytest.mark.parametrize("case", CASES, ids=str)
def test_training_and_evaluation_give_the_same_bits(run_node, sample, case):
    parameters = Parameters(**{"epochs": 3} | case)
    examples = sample["x_train"][:200], sample["y_train"][:200]
    others = sample["x_test"][:50].copy(), sample["y_test"][:50]
    others[0][4] = 0  # a blank one
    names = "images", "labels", "others", "answers"
    given = dict(zip(names, map(encode, (*examples, *others)), strict=True))
    found = run_node(TRAIN, **given, parameters=parameters.model_dump())
    weights, history = train(*examples, parameters)
    assert found["history"] == history
    for name, matrix in zip(("first", "second"), weights, strict=True):
        assert np.array_equal(decode(found[name]), matrix.ravel())
    assert found["digest"] == digests.digest_arrays(*weights)
    expected = compiled.evaluate(*others, weights, parameters.normalisation)
    assert tuple(found["metrics"]) == expected


# One image by network.js, and as the pictures of a step compute it: each a list of the
# activations, scores, error signals, and both matrices after the step.
STEP = """
const training = new network.Training(
  bytes(given.images), bytes(given.labels), given.parameters);
training.next();  // so that no weight is the first one
const { weights, labels, scaled, learningRate } = training;
const before = [weights.first.slice(), weights.second.slice()];
training.next();
const { image, hidden, scores, signal, delta } = training;
const targets = [...scores].map((_, digit) => Number(digit === labels[1]));
const shown = sums.measure({
  sizes: [image.length, hidden.length, scores.length],
  weights: before,
  inputs: [...image].map((pixel) => scaled[pixel]),
  targets,
  inactiveSlope: given.parameters.relu_grad_inactive,
  rate: learningRate,
});
const after = sums.makeStep(shown).weights;
const texts = (all) => all.map((each) => text(Float64Array.from(each)));
return [
  texts([hidden, scores, signal, delta, weights.first, weights.second]),
  texts([...shown.values.slice(1), ...shown.signals.slice(1), ...after]),
];
"""


@pytest.mark.parametrize("inactive", [0, 1])
def test_a_shown_step_is_the_one_that_trains(run_node, sample, inactive):
    given = {
        "images": encode(sample["x_train"][:2]),
        "labels": encode(sample["y_train"][:2]),
        "parameters": Parameters(
            dropout_rate=0, relu_grad_inactive=inactive
        ).model_dump(),
    }
    trained, shown = run_node(STEP, **given)
    for expected, found in zip(trained, shown, strict=True):
        assert decode(found) == pytest.approx(decode(expected), rel=1e-12, abs=1e-15)
    assert np.count_nonzero(decode(trained[2])) >= 5


@pytest.mark.parametrize(
    ("number", "place", "word"),
    [
        (2, "values 1 0", ""),
        (2.4, "values 1 0", "Not yet"),
        (-3, "values 1 1", "ReLU"),
        (0, "values 1 1", ""),
        (-7, "values 2 0", "inactive"),
        (2, "values 2 0", ""),
        (0, "values 2 1", "score may be below 0"),
        (2, "values 2 1", "signs"),
        (-1, "signals 1 0", "signs"),
        (1, "signals 2 0", ""),
        (-1, "signals 2 0", "sign"),
        (4, "signals 2 1", "square"),
        (3, "signals 1 0", ""),
        (1, "signals 1 0", "one path"),
        (1, "signals 1 1", "slope"),
        (0, "signals 1 1", ""),
        (17, "signals 1 1", "Not yet"),
    ],
)
def test_a_number_on_paper_is_judged(run_node, number, place, word):
    script = """
    const [kind, layer, place] = given.place.split(" ");
    const measured = sums.measure({
      sizes: [3, 2, 2],
      weights: given.weights.map((matrix) => Float64Array.from(matrix.flat())),
      inputs: given.inputs,
      targets: given.targets,
      inactiveSlope: 0,
      nameOf: () => "it",
    });
    return paper.judge(measured, kind, Number(layer), Number(place), given.number);
    """
    said = run_node(script, **ON_PAPER, place=place, number=number)
    assert word in said
    assert bool(word) == bool(said)


@pytest.mark.parametrize(
    ("with_slip", "without", "is_hardly_luck"),
    [(10, 10, True), (10, 9, False), (9, 10, False)],
)
def test_only_many_dots_of_both_kinds_that_stay_apart_are_hardly_luck(
    run_node, with_slip, without, is_hardly_luck
):
    dots = [{"kind": "with", "accuracy": 0.8}] * with_slip
    dots += [{"kind": "without", "accuracy": 0.85}] * without
    sentences = run_node("return groups.describeGroups(given.dots);", dots=dots)
    assert "do not overlap: 5.0 points lie between them." in sentences
    assert ("That is hardly luck." in sentences) == is_hardly_luck
    dots.append({"kind": "with", "accuracy": 0.85})
    sentences = run_node("return groups.describeGroups(given.dots);", dots=dots)
    assert "hardly luck" not in sentences


def test_lines_of_a_class_without_a_break_between_them_lose_no_dot(run_node):
    line = "00000000 with {}=0.8 without {}=0.9, 2 dots"
    text = line.format(1, 2) + line.format(3, 4)
    script = 'return dots.readLines(given.text, "00000000", 10);'
    found = run_node(script, text=text)
    assert [dot["seed"] for dot in found["dots"]] == [1, 2, 3, 4]
    assert not found["refused"]


@pytest.mark.parametrize("accuracies", [[0.8, 0.85], [0.7, 0.92]])
def test_dots_lie_at_their_accuracies_and_in_the_picture(run_node, accuracies):
    script = """
    const svg = makeElement("svg");
    groups.drawGroups(svg, given.dots);
    return svg.children;
    """
    dots = [{"kind": "with", "accuracy": each} for each in accuracies]
    grid, *others = run_node(script, dots=dots)
    ticks = [each for each in grid["children"] if each["tag"] == "text"]
    places = [float(each["text"].removesuffix(" %")) / 100 for each in ticks]
    found = [each["cx"] for each in others if each["tag"] == "circle"]
    expected = np.interp(accuracies, places, [each["x"] for each in ticks])
    assert found == pytest.approx(expected)
    assert places[0] <= accuracies[0] < accuracies[1] <= places[-1]


def test_fifty_drawings_are_read_by_the_published_network(run_node):
    drawings = json.loads(DRAWINGS.read_text())
    script = """
    const own = await reading.unpackNetwork(given.network);
    const images = given.drawings.map(({ strokes }) => reading.imageOf(strokes));
    return images.map((image) => reading.read(image, own).answer);
    """
    stored = read_arrays(NETWORKS, {}, "")
    weights = tuple(
        stored[f"published_{part}"].astype(float) for part in ("0_1", "1_2")
    )
    network = live.pack_network(Model(weights, 255.0))
    answers = run_node(script, network=network, drawings=drawings)
    digits = [drawing["digit"] for drawing in drawings]
    assert len(drawings) == 50
    assert np.sum(np.array(answers) == digits) > 35


def test_a_page_reads_as_python_does(run_node, sample):
    weights = helpers.initial_weights(np.random.RandomState(3), 12)
    image = sample["x_test"][0]
    script = """
    const weights = { first: numbers(given.first), second: numbers(given.second) };
    const read = reading.read(bytes(given.image), { normalisation: 300, weights });
    const arrays = Object.entries(read).filter(([, value]) => value.length);
    const texts = arrays.map(([name, each]) => [name, text(each)]);
    return { ...read, ...Object.fromEntries(texts) };
    """
    first, second = map(encode, weights)
    answer = run_node(script, first=first, second=second, image=encode(image))
    inputs = helpers.scale(image[None], 300)  # (1, 784)
    hidden, _ = helpers.forward(inputs, weights)
    (scores,) = compiled.predict(image[None], weights, 300.0)
    second, best = np.argsort(scores)[-2:]
    assert [answer["answer"], answer["second"]] == [best, second]
    assert np.array_equal(decode(answer["scores"]), scores)
    assert np.allclose(decode(answer["hidden"]), hidden, atol=1e-12)
    # The part of a pixel in a score: its paths through the active units.
    parts = inputs[0] * (weights[0] * (hidden > 0) @ weights[1][:, best])
    assert np.allclose(decode(answer["parts"]), parts, atol=1e-12)


@pytest.fixture
def folder(tmp_path):
    folder = StageFolder(tmp_path)
    folder.write_data(data.split_source("sample", 40, 10))
    folder.write_model(ZEROS.weights, 255.0, [VALIDATED], folder.read_data())
    return folder


def make_record(code=None, **values):
    inputs = {"code helpers.py": code or published.HELPERS_SHA256}
    return RunRecord(parameters=Parameters(**values), inputs=inputs)


def test_a_page_has_the_training_images_and_parameters_of_its_run(folder, sample):
    parameters = Parameters(num_samples=40, num_validation=10, epochs=1, seed=5)
    record = make_record().replace(parameters=parameters)
    training = live.collect_run_data(folder, record)["training"]
    images, labels = sample["x_train"][:40], sample["y_train"][:40]
    assert np.array_equal(unpack(training["images"], np.uint8), images.ravel())
    assert np.array_equal(unpack(training["labels"], np.uint8), labels)
    assert training["parameters"]["seed"] == 5
    assert training["digest"] == ZEROS.sha256
    assert live.collect_curves([EPOCH]).keys() == {"masked", "fitted"}


@pytest.mark.parametrize(
    "values", [{"batch_size": 2}, {"num_samples": 5001}, {"code": "0" * 64}, {}]
)
def test_a_page_trains_only_a_run_as_it_can(folder, values):
    assert live.can_train(folder, make_record())
    if not values:  # as in a point of a sweep
        folder.data_path.unlink()
    assert not live.can_train(folder, make_record(**values))


def test_a_page_reads_only_with_the_published_helpers_and_few_units():
    wide = Model((np.zeros((784, 401)), np.zeros((401, 10))), 255.0)
    assert live.can_classify(make_record(), ZEROS)
    assert not live.can_classify(make_record("0" * 64), ZEROS)
    assert not live.can_classify(make_record(), wide)


@pytest.mark.parametrize(
    ("accuracies", "floor"),
    [([0.31] + 9 * [0.85], 80), (20 * [0.699], 60), ([0.4], 40), ([1.0], 90)],
)
def test_the_axis_begins_below_what_follows_the_first_tenth(accuracies, floor):
    assert live.find_floor({"fitted": accuracies, "masked": 20 * [0.999]}) == floor
