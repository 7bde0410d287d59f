// Trains the run's network again, in this page, and compares the error of every epoch, and the
// digest of the weights.
import { make, Section } from "./dom.js";
import { drawUnits, labelEnds, unpackBytes } from "./draw.js";
import { digestOf, evaluate, train } from "./network.js";
import { describe, findChanges, isAllowed, numberIn, readFragment, setUpTries } from "./tries.js";

const WIDTH = 600; // of a plot
const HEIGHT = 200;
const MAX_POINTS = 200; // at which a line is drawn while it grows
const KINDS = ["accuracy", "error"]; // of plots
const MEASURES = ["masked", "fitted", "validation"]; // of accuracy

// Yields what is shown of each epoch, the weights now and then. It runs in a worker, which has
// network.js too.
function* measureEpochs([images, labels], others, parameters) {
  const { epochs, normalisation } = parameters;
  let drawn = 0;
  for (const { epoch, error, accuracy, weights } of train(images, labels, parameters)) {
    const [fittedError, fitted] = evaluate(images, labels, weights, normalisation);
    const [validationError, validation] = evaluate(...others, weights, normalisation);
    const errors = [error, fittedError, others[1].length ? validationError : 0];
    const finite = errors.every(Number.isFinite); // as in 02_train
    const isLast = epoch === epochs || !finite;
    const isShown = isLast || Date.now() - drawn > 50;
    yield {
      epoch,
      error,
      masked: accuracy,
      fitted,
      validation,
      validationError,
      finite,
      weights: isShown ? weights : null,
      digest: isLast ? digestOf(weights) : null,
    };
    if (isLast) return;
    if (isShown) drawn = Date.now();
  }
}

// Starts a training in a worker that gets `source`, the text of network.js; returns what stops it.
// data: what measureEpochs takes.
function startWorker(source, data, onEpoch, onError) {
  const imports = "const { digestOf, evaluate, train } = network_js;\n";
  const work =
    "onmessage = ({ data }) => { for (const each of measureEpochs(...data)) postMessage(each); };";
  const parts = [source, imports, measureEpochs, "\n", work];
  const address = URL.createObjectURL(new Blob(parts, { type: "text/javascript" }));
  const worker = new Worker(address);
  worker.onmessage = (message) => onEpoch(message.data);
  worker.onerror = ({ message }) => onError(message);
  worker.postMessage(data);
  return () => {
    worker.terminate();
    URL.revokeObjectURL(address);
  };
}

// Draws a line in a plot; the run's own epochs fix its width.
function drawLine(polyline, values, count) {
  const { top } = polyline.ownerSVGElement.dataset; // the highest value
  const points = values.map((value, i) => {
    const x = (WIDTH * (i + 1)) / count;
    const y = (HEIGHT * (1 - Math.min(value / top, 1.1))).toFixed(1);
    return `${x},${y}`;
  });
  // One point alone would not be seen.
  if (points.length === 1) points.unshift(points[0].replace(/^[^,]*/, "0"));
  polyline.setAttribute("points", points.join(" "));
}

const countEpochs = (count) => `${count} epoch${count === 1 ? "" : "s"}`;

// Compares the validation accuracy with the run's; "" without validation images.
function judge(accuracies, { validation, finite }) {
  if (!(validation >= 0 && finite)) return "";
  const old = accuracies.at(-1);
  const difference = Math.abs(validation - old).toFixed(3);
  let words = "As good as the run";
  if (validation > old) words = `Better than the run by ${difference}`;
  if (validation < old) words = `Worse than the run by ${difference}`;
  return `${words}: accuracy ${validation.toFixed(3)} on the validation images. `;
}

// The digest of the weights, folded.
function foldDigest(digest) {
  const summary = make("summary", {}, "SHA-256 of the weights");
  return make("details", {}, summary, ": ", make("code", {}, digest), ". ");
}

// Says how a training ended, in pieces; differs: the first epoch whose error is not the run's, or
// null.
function describeOutcome(run, changes, differs, { epoch, finite, digest }) {
  const epochs = countEpochs(epoch);
  if (!finite) {
    return [
      `Stopped after ${epochs}. The error is no longer a number: make learning_rate smaller. ` +
        "This network is not kept, and does not read what you draw.",
    ];
  }
  const folded = foldDigest(digest);
  const reads = "It reads what you draw now.";
  if (changes) return [`Another training, with ${changes}: ${epochs}. `, folded, reads];
  if (digest === run.digest && !differs) {
    const equal = `All errors and weights are the run's, to the last bit. ${reads}`;
    return [`Equal: ${epochs}. `, folded, equal];
  }
  const first = `the first epoch that differs is ${differs ?? "none"}. ${reads}`;
  return [`NOT equal: ${epochs}. `, folded, `The run's digest is ${run.digest}; ${first}`];
}

// The section with the buttons, the plots and the fields of the parameters.
class TrainingPanel extends Section {
  constructor(root, run, source, keep, rootOfTries) {
    super(root);
    this.rootOfTries = rootOfTries;
    this.run = run;
    this.source = source;
    this.keep = keep;
    this.fields = [...this.part("fields").querySelectorAll("input, select")];
    this.isBusy = false;
    this.tries = setUpTries(rootOfTries, this.fields, (settings) => this.trainAgain(settings));
    this.latest = []; // the two tries that are drawn
  }

  say(first, ...more) {
    this.part("outcome").replaceChildren(make("strong", {}, first), ...more);
  }

  // It does not use `disabled`, with which a button loses the focus.
  setBusy(isBusy) {
    this.isBusy = isBusy;
    const buttons = [
      ...this.root.querySelectorAll(".train, .correct, .again"),
      ...this.rootOfTries.querySelectorAll(".one-try"),
    ];
    for (const button of buttons) button.setAttribute("aria-disabled", isBusy);
    this.part("stop").setAttribute("aria-disabled", !isBusy);
  }

  begin() {
    if (this.isBusy) return;
    const wrong = this.fields.find((field) => !isAllowed(field));
    if (wrong) {
      this.part("change").open = true; // where the browser's message can be seen
      wrong.reportValidity();
      this.say(wrong.validationMessage);
      return;
    }
    const values = this.fields.map((field) => [field.name, numberIn(field)]);
    new Attempt(this, { ...this.run.parameters, ...Object.fromEntries(values) }).begin();
  }

  // Takes the settings of a try into the fields, and trains them.
  trainAgain(settings) {
    if (this.isBusy) return;
    for (const field of this.fields) field.value = settings[field.name];
    this.write("from-link", ""); // which these settings replace
    this.begin();
  }

  drawRun(count) {
    for (const [name, values] of Object.entries(this.run.curves)) {
      drawLine(this.part(`run-${name}`), values, count);
    }
    for (const [name, values] of Object.entries(this.run.errorCurves)) {
      drawLine(this.part(`error-run-${name}`), values, count);
    }
    for (const text of this.root.querySelectorAll(".epochs")) text.textContent = count;
  }

  // Draws the two latest tries. lines: the values of the new one, by the kind of plot.
  drawTry(number, lines) {
    this.latest.unshift({ label: `try ${number}`, ...lines });
    this.latest.length = Math.min(this.latest.length, 2);
    const count = Number(this.part("epochs").textContent);
    for (const kind of KINDS) {
      const polylines = this.root.querySelectorAll(`.${kind} .try`);
      for (const [i, each] of this.latest.entries()) {
        drawLine(polylines[i], each[kind], count);
        polylines[i].dataset.label = each.label;
      }
      labelEnds(this.part(kind));
    }
  }

  // Takes the settings in the page's address, such as #learning_rate=0.01&seed=3, into the fields.
  readAddress() {
    const { settings, refused } = readFragment(this.fields, location.hash.slice(1));
    for (const field of this.fields) {
      const value = settings[field.name] ?? field.value;
      field.value = field.name in refused ? field.dataset.run : value;
    }
    const words = describe(settings);
    if (words) this.part("change").open = true;
    this.part("from-link").textContent = words
      ? `From the link: ${words}. Train again uses this, unless you change it below.`
      : "";
    const wrong = describe(refused);
    if (wrong) this.say(`The address has ${wrong}, which cannot be; the run's own value is kept.`);
  }

  setUp() {
    for (const kind of KINDS) labelEnds(this.part(kind));
    this.on("defaults", "click", () => {
      for (const field of this.fields) field.value = field.dataset.run;
      this.write("from-link", "");
    });
    if (this.tries.isInPage) {
      this.readAddress();
      window.addEventListener("hashchange", () => this.readAddress());
    }
    const corrected = { ...this.run.parameters, relu_grad_inactive: 0 };
    this.on("correct", "click", () => this.trainAgain(corrected));
    for (const name of ["train", "again"]) this.on(name, "click", () => this.begin());
  }
}

// One training, from the press of a button to its end.
class Attempt {
  constructor(panel, parameters) {
    this.panel = panel;
    this.parameters = parameters;
    this.changes = describe(findChanges(panel.fields, parameters));
    this.count = Math.max(parameters.epochs, panel.run.errors.length);
    this.accuracies = { masked: [], fitted: [], validation: [] };
    this.errors = []; // on the validation images
    this.differs = null; // the first epoch whose error is not the run's
    this.kept = null; // the last epoch that came with weights
    this.isStopped = false;
    this.stopWorker = () => {};
    this.started = performance.now();
  }

  async begin() {
    this.showBeginning();
    try {
      const { images, labels, validation_images, validation_labels } = this.panel.run;
      const packed = [images, labels, validation_images, validation_labels];
      const arrays = await Promise.all(packed.map(unpackBytes));
      this.panel.drawRun(this.count);
      if (this.isStopped) return;
      this.stopWorker = startWorker(
        this.panel.source,
        [arrays.slice(0, 2), arrays.slice(2), this.parameters],
        (result) => this.show(result),
        (error) => this.fail(error),
      );
    } catch (error) {
      this.fail(error);
    }
  }

  showBeginning() {
    const { panel, count } = this;
    panel.part("stop").onclick = () => this.stop();
    panel.setBusy(true);
    panel.part("stage").scrollIntoView({ block: "nearest" }); // what grows
    panel.part("progress").max = this.parameters.epochs;
    panel.part("progress").value = 0;
    panel.say("Training.");
    panel.write("shown", "");
    for (const name of MEASURES) drawLine(panel.part(`live-${name}`), [], count);
  }

  show(result) {
    const { panel, parameters } = this;
    const isEqual = result.error === panel.run.errors[result.epoch - 1];
    if (!this.changes && this.differs === null && !isEqual) this.differs = result.epoch;
    this.drawLines(result);
    if (result.weights && result.finite) {
      this.kept = result;
      drawUnits(panel.part("forming"), result.weights, parameters.hidden_size);
    }
    panel.part("progress").value = result.epoch;
    this.showEpoch(result);
    if (!result.digest) return;
    const outcome = describeOutcome(panel.run, this.changes, this.differs, result);
    const remark = this.record(result, result.finite ? "" : "diverged");
    this.finish(remark + judge(panel.run.curves.validation, result), ...outcome);
  }

  drawLines(result) {
    const { panel, count } = this;
    const isDrawn = result.weights || result.epoch % Math.ceil(count / MAX_POINTS) === 0;
    for (const name of MEASURES) {
      const accuracies = this.accuracies[name];
      if (result[name] >= 0) accuracies.push(result[name]); // and not NaN, of no images
      if (isDrawn) drawLine(panel.part(`live-${name}`), accuracies, count);
    }
    // A line that diverges leaves the plot.
    if (!result.finite) this.errors.push(Infinity);
    else if (result.validationError >= 0) this.errors.push(result.validationError);
    if (result.weights) drawLine(panel.part("error-live-validation"), this.errors, count);
  }

  showEpoch({ epoch, fitted, masked, validation }) {
    const known = validation >= 0 ? `, validation ${validation.toFixed(3)}` : "";
    this.panel.write(
      "shown",
      `Thick, this training: epoch ${epoch}, ${fitted.toFixed(3)}, ` +
        `under dropout ${masked.toFixed(3)}${known}.`,
    );
  }

  stop() {
    const kept = this.kept;
    this.isStopped = true;
    if (kept) {
      const epochs = countEpochs(kept.epoch);
      this.parameters = { ...this.parameters, epochs: kept.epoch }; // with which it ends there
      this.record(kept, "stopped");
      const accuracy =
        kept.validation >= 0 ? `, at ${kept.validation.toFixed(3)} on the validation images` : "";
      this.finish(
        `Stopped after ${epochs}. This network is kept as it is${accuracy}, and reads what you draw.`,
      );
    } else {
      this.finish("Stopped before the first epoch.");
    }
  }

  fail(error) {
    this.finish(`This browser could not train it: ${error}`);
  }

  finish(first, ...more) {
    this.stopWorker();
    this.panel.setBusy(false);
    this.panel.part("stop").onclick = null;
    this.panel.say(first, ...more);
  }

  // Adds it to the tries, and returns how it compares with what was reported of it.
  record(result, ending) {
    const { panel, parameters, started } = this;
    const seconds = (performance.now() - started) / 1000;
    const { number, remark } = panel.tries.add(parameters, result, ending, seconds);
    panel.drawTry(number, { accuracy: this.accuracies.validation, error: this.errors });
    if (result.finite) panel.keep({ ...parameters, weights: result.weights });
    return remark;
  }
}

// Sets up the buttons in `root`, which has training.html.j2. `keep` gets a network that has been
// trained to its end. `rootOfTries` has tries.html.j2, which may stand apart. Returns what stops a
// training.
export function setUpTraining(root, run, source, keep = () => {}, rootOfTries = root) {
  const panel = new TrainingPanel(root, run, source, keep, rootOfTries);
  panel.setUp();
  return () => panel.part("stop").click(); // which does nothing where nothing is trained
}
