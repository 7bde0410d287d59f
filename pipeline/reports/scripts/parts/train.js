// Trains the run's network again, in this page, and compares the error of every epoch, and the
// digest of the weights.

import { unpackBytes } from "../compute/reading.js";
import { startWorker } from "../compute/worker.js";
import { count, make, Section } from "../show/dom.js";
import { drawUnits } from "../show/paint.js";
import { Plot } from "../show/plot.js";
import { Correction } from "./correction.js";
import { MILESTONES, Strip } from "./strip.js";
import { describe, findChanges, isAllowed, numberIn, readFragment, setUpTries } from "./tries.js";

const MAX_POINTS = 200; // at which a line is drawn while it grows
const KINDS = ["accuracy", "error"]; // of plots
const CORRECTION = "relu_grad_inactive 0";
const MEASURES = ["masked", "fitted", "validation"]; // of accuracy
export const NO_PAD = { add: () => {}, getImage: () => null };

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
  const epochs = count(epoch, "epoch");
  if (!finite) {
    return [
      `Stopped after ${epochs}. The error is no longer a number: make learning_rate smaller. ` +
        "This network is not kept, and does not read what you draw.",
    ];
  }
  const folded = foldDigest(digest);
  const reads = "It reads what you draw now.";
  if (changes) {
    const words = changes === CORRECTION ? `${changes}, which corrects the slip` : changes;
    return [`Another training, with ${words}: ${epochs}. `, folded, reads];
  }
  if (digest === run.digest && !differs) {
    const equal = `All errors and weights are the run's, to the last bit. ${reads}`;
    return [`Equal: ${epochs}. `, folded, equal];
  }
  const first = `the first epoch that differs is ${differs ?? "none"}. ${reads}`;
  return [`NOT equal: ${epochs}. `, folded, `The run's digest is ${run.digest}; ${first}`];
}

// The section with the buttons, the plots and the fields of the parameters.
class TrainingPanel extends Section {
  constructor(root, run, source, pad, rootOfTries) {
    super(root);
    this.rootOfTries = rootOfTries;
    this.run = run;
    this.source = source;
    this.pad = pad;
    this.fields = [...this.part("fields").querySelectorAll("input, select")];
    this.isBusy = false;
    const train = (settings) => this.trainAgain(settings);
    this.tries = setUpTries(rootOfTries, this.fields, train, run.digest);
    this.latest = []; // the two tries that are drawn
    this.plots = Object.fromEntries(KINDS.map((kind) => [kind, new Plot(this.part(kind))]));
    this.units = null; // what the picture of the weights shows, once something is trained
    this.correction = new Correction(root, run, () => this.correct());
  }

  say(first, ...more) {
    this.part("outcome").replaceChildren(make("strong", {}, first), ...more);
  }

  // It does not use `disabled`, with which a button loses the focus.
  setBusy(isBusy) {
    this.isBusy = isBusy;
    const buttons = [
      ...this.root.querySelectorAll(".train, .again"),
      ...this.rootOfTries.querySelectorAll(".one-try"),
    ];
    for (const button of buttons) button.setAttribute("aria-disabled", isBusy);
    this.part("stop").setAttribute("aria-disabled", !isBusy);
    this.correction.setBusy(isBusy);
  }

  // Trains with the values of the fields.
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
    this.train(Object.fromEntries(values));
  }

  // Trains with the run's parameters, but for some.
  train(changes = {}) {
    if (this.isBusy) return;
    new Attempt(this, { ...this.run.parameters, ...changes }).begin();
  }

  // Takes the settings of a try into the fields, and trains them.
  trainAgain(settings) {
    if (this.isBusy) return;
    for (const field of this.fields) field.value = settings[field.name];
    this.tries.showLink(); // whose settings these replace
    this.begin();
  }

  // Trains with the slip corrected, for once: the fields have the run's values again.
  correct() {
    if (this.isBusy) return;
    this.reset();
    this.train({ relu_grad_inactive: 0 });
  }

  reset() {
    for (const field of this.fields) field.value = field.dataset.run;
    this.tries.showLink();
  }

  drawRun(epochs) {
    for (const kind of KINDS) this.plots[kind].setCount(epochs);
    for (const [name, values] of Object.entries(this.run.curves)) {
      this.plots.accuracy.set(this.part(`run-${name}`), values);
    }
    for (const [name, values] of Object.entries(this.run.errorCurves)) {
      this.plots.error.set(this.part(`error-run-${name}`), values);
    }
  }

  // Draws the two latest tries. lines: the values of the new one, by the kind of plot.
  drawTry(number, lines) {
    this.latest.unshift({ label: `try ${number}`, ...lines });
    this.latest.length = Math.min(this.latest.length, 2);
    for (const kind of KINDS) {
      const polylines = this.root.querySelectorAll(`.${kind} .try`);
      for (const [i, each] of this.latest.entries()) {
        polylines[i].dataset.label = each.label;
        this.plots[kind].set(polylines[i], each[kind]);
      }
      this.plots[kind].drawAll();
    }
  }

  // Shows weights as pictures.
  drawUnits(weights, size) {
    this.units = { weights, size };
    drawUnits(this.part("forming"), weights, size, this.part("same-scale").checked);
  }

  // Takes the settings in the page's address, such as #learning_rate=0.01&seed=3, into the fields.
  // A link of the contents has none.
  readAddress() {
    if (!location.hash.includes("=")) return;
    const { settings, refused } = readFragment(this.fields, location.hash.slice(1));
    for (const field of this.fields) {
      const value = settings[field.name] ?? field.value;
      field.value = field.name in refused ? field.dataset.run : value;
    }
    if (describe(settings)) this.part("change").open = true;
    this.tries.showLink(settings);
    const wrong = describe(refused);
    if (wrong) this.say(`The address has ${wrong}, which cannot be; the run's own value is kept.`);
  }

  setUp() {
    this.on("defaults", "click", () => this.reset());
    if (this.tries.isInPage) {
      this.tries.setUpLink(this.part("from-link"));
      this.readAddress();
      window.addEventListener("hashchange", () => this.readAddress());
    }
    this.on("train", "click", () => this.train());
    this.on("again", "click", () => this.begin());
    this.on("same-scale", "change", () => {
      if (this.units) this.drawUnits(this.units.weights, this.units.size);
    });
  }
}

// One training, from the press of a button to its end.
class Attempt {
  constructor(panel, parameters) {
    this.panel = panel;
    this.parameters = parameters;
    this.changes = describe(findChanges(panel.fields, parameters));
    this.epochs = Math.max(parameters.epochs, panel.run.errors.length); // across the plots
    this.accuracies = { masked: [], fitted: [], validation: [] };
    this.errors = []; // on the validation images
    this.differs = null; // the first epoch whose error is not the run's
    this.kept = null; // the last epoch that came with weights
    this.part = null; // what is trained of an epoch that has not ended
    this.strip = null; // unless there is nothing to read
    this.isCorrection = this.changes === CORRECTION;
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
      if (this.isStopped) return;
      this.stopWorker = startWorker(
        this.panel.source,
        [arrays.slice(0, 2), arrays.slice(2), this.parameters, MILESTONES],
        (result) => this.show(result),
        (error) => this.fail(error),
      );
    } catch (error) {
      this.fail(error);
    }
  }

  showBeginning() {
    const { panel, parameters, epochs } = this;
    const image = panel.pad.getImage();
    const words = this.isCorrection ? "corrected" : this.changes;
    if (image) this.strip = new Strip(panel.root, image, parameters.classes, words);
    panel.part("stop").onclick = () => this.stop();
    panel.setBusy(true);
    panel.correction.ask();
    if (this.isCorrection) panel.correction.begin();
    else if (this.changes) panel.correction.leave();
    panel.part("accuracy").scrollIntoView({ block: "nearest" }); // what grows
    panel.part("progress").max = parameters.epochs;
    panel.part("progress").value = 0;
    panel.say("Training.");
    panel.write("shown", "");
    panel.drawRun(epochs);
    for (const name of MEASURES) this.drawAccuracies(name, []);
    panel.plots.error.set(panel.part("error-live-validation"), []);
  }

  show(result) {
    const { panel, parameters } = this;
    const { epoch, place, weights, finite, digest } = result;
    if (weights && finite !== false) {
      this.strip?.read(place ? null : epoch, { ...parameters, weights }, digest);
      panel.drawUnits(weights, parameters.hidden_size);
    }
    if (place) this.showPart(result);
    else if (epoch > 0) this.showEpoch(result);
  }

  showPart(result) {
    const { epoch, place } = result;
    const images = this.parameters.num_samples;
    if (result.finite) this.part = result;
    this.panel.part("progress").value = epoch - 1 + place / images;
    this.panel.write("shown", `Epoch ${epoch}: ${place} of ${images} images.`);
  }

  showEpoch(result) {
    const { panel } = this;
    const { epoch, error, finite } = result;
    const isEqual = error === panel.run.errors[epoch - 1];
    if (!this.changes && this.differs === null && !isEqual) this.differs = epoch;
    this.drawLines(result);
    if (result.weights && finite) this.kept = result;
    panel.part("progress").value = epoch;
    this.describeEpoch(result);
    if (this.isCorrection && finite) panel.correction.show(result);
    if (result.digest === null) return;
    const outcome = describeOutcome(panel.run, this.changes, this.differs, result);
    const remark = this.record(result, finite ? "" : "diverged");
    this.finish(remark + judge(panel.run.curves.validation, result), ...outcome);
  }

  drawAccuracies(name, values) {
    this.panel.plots.accuracy.set(this.panel.part(`live-${name}`), values);
  }

  drawLines(result) {
    const isDrawn = result.weights || result.epoch % Math.ceil(this.epochs / MAX_POINTS) === 0;
    for (const name of MEASURES) {
      const accuracies = this.accuracies[name];
      if (result[name] >= 0) accuracies.push(result[name]); // and not NaN, of no images
      if (isDrawn) this.drawAccuracies(name, accuracies);
    }
    // A line that diverges leaves the plot.
    if (!result.finite) this.errors.push(Infinity);
    else if (result.validationError >= 0) this.errors.push(result.validationError);
    const line = this.panel.part("error-live-validation");
    if (result.weights) this.panel.plots.error.set(line, this.errors);
  }

  describeEpoch({ epoch, fitted, masked, validation }) {
    const known = validation >= 0 ? `, validation ${validation.toFixed(3)}` : "";
    this.panel.write(
      "shown",
      `Thick, this training: epoch ${epoch}, ${fitted.toFixed(3)}, ` +
        `under dropout ${masked.toFixed(3)}${known}.`,
    );
  }

  stop() {
    const { kept, part, parameters, panel } = this;
    this.isStopped = true;
    if (kept) {
      const epochs = count(kept.epoch, "epoch");
      this.strip?.read(kept.epoch, { ...parameters, weights: kept.weights }, true);
      this.parameters = { ...parameters, epochs: kept.epoch }; // with which it ends there
      this.record(kept, "stopped");
      const accuracy =
        kept.validation >= 0 ? `, at ${kept.validation.toFixed(3)} on the validation images` : "";
      this.finish(
        `Stopped after ${epochs}. This network is kept as it is${accuracy}, and reads what you draw.`,
      );
    } else if (part) {
      panel.pad.add({ ...parameters, weights: part.weights });
      this.finish(
        `Stopped in the first epoch, after ${part.place} of ${parameters.num_samples} images. ` +
          "This network is kept as it is, and reads what you draw. It is no try of yours, " +
          "because no number of epochs repeats it.",
      );
    } else {
      this.finish("Stopped before it could learn.");
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
    this.strip?.name(`Try ${number}`);
    if (result.finite) panel.pad.add({ ...parameters, weights: result.weights });
    return remark;
  }
}

// Sets up the buttons in `root`, which has training.html.j2. `pad` has the image to read while it
// trains, and gets a network that has been trained to its end. `rootOfTries` has tries.html.j2,
// which may stand apart. Returns what stops a training.
export function setUpTraining(root, run, source, pad = NO_PAD, rootOfTries = root) {
  const panel = new TrainingPanel(root, run, source, pad, rootOfTries);
  panel.setUp();
  return () => panel.part("stop").click(); // which does nothing where nothing is trained
}
