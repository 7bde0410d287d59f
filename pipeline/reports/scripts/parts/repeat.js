// Trains the run of a report again, or with other parameters, and compares the error of every epoch
// and the digest of the weights with the run's own.

import { digestOf } from "../compute/network.js";
import { count, formatPercent, make, Section } from "../show/dom.js";
import { drawUnits } from "../show/paint.js";
import { Plot } from "../show/plot.js";
import { Form } from "./form.js";
import { Trainings } from "./trainings.js";

const toPercent = (fraction) => 100 * fraction;
const MAX_POINTS = 200; // at which a line is drawn while it grows

// Says how a training ended, in pieces; differs: the first epoch whose error is not the run's, or
// null.
function describeOutcome(run, changes, differs, { epoch, finite, validation }, digest) {
  const epochs = count(epoch, "epoch");
  if (!finite) {
    return [
      `Stopped in epoch ${epoch}. `,
      "The error is no longer a number: make learning_rate smaller. " +
        "This network is not kept, and does not read what you draw.",
    ];
  }
  const reads = "It reads what you draw now.";
  const digestOfWeights = [" SHA-256 of the weights: ", make("code", {}, digest), ". "];
  if (changes) {
    const accuracy =
      validation >= 0 ? ` Accuracy on the validation images: ${formatPercent(validation)}.` : "";
    return [`Another training, with ${changes}: ${epochs}.`, accuracy, ...digestOfWeights, reads];
  }
  if (digest === run.digest && differs === null) {
    const equal = `All errors and weights are the run's, to the last bit. ${reads}`;
    return [`Equal: ${epochs}.`, ...digestOfWeights, equal];
  }
  const first = `the first epoch that differs is ${differs ?? "none"}. ${reads}`;
  return [`NOT equal: ${epochs}.`, ...digestOfWeights, `The run's is ${run.digest}; ${first}`];
}

// The section with the buttons, the plot and the form.
class Panel extends Section {
  constructor(root, run, source, pad) {
    super(root);
    this.run = run;
    this.trainings = new Trainings(run, source);
    this.pad = pad;
    this.form = new Form(root);
    this.plot = new Plot(this.part("accuracy"));
    this.halt = null; // what stops the present training
    this.on("train", "click", () => this.train(run.parameters));
    this.on("again", "click", () => this.trainForm());
    this.on("stop", "click", () => this.halt?.());
    this.on("defaults", "click", () => this.form.reset());
  }

  say(first, ...more) {
    this.part("outcome").replaceChildren(make("strong", {}, first), ...more);
  }

  // It does not use `disabled`, with which a button loses the focus.
  setBusy(halt) {
    this.halt = halt;
    const isBusy = halt !== null;
    for (const name of ["train", "again"]) this.part(name).setAttribute("aria-disabled", isBusy);
    this.part("stop").setAttribute("aria-disabled", !isBusy);
  }

  train(parameters) {
    if (!this.halt) new Repetition(this, parameters).begin();
  }

  // Trains with the values of the form.
  trainForm() {
    if (this.halt) return;
    const wrong = this.form.findWrong();
    if (!wrong) {
      this.train({ ...this.run.parameters, ...this.form.read() });
      return;
    }
    wrong.reportValidity();
    this.say(wrong.validationMessage);
  }

  // Draws the run's own curves, and empties the others.
  drawRun(epochs) {
    this.plot.setCount(epochs);
    for (const [name, values] of Object.entries(this.run.curves)) {
      this.plot.set(this.part(`run-${name}`), values.map(toPercent));
      this.plot.set(this.part(`live-${name}`), []);
    }
  }
}

// One training, from the press of a button to its end.
class Repetition {
  constructor(panel, parameters) {
    this.panel = panel;
    this.parameters = parameters;
    this.changes = panel.form.describeChanges(parameters);
    this.epochs = Math.max(parameters.epochs, panel.run.errors.length); // across the plot
    this.lines = Object.fromEntries(Object.keys(panel.run.curves).map((name) => [name, []]));
    this.differs = null; // the first epoch whose error is not the run's
    this.kept = null; // the last weights, and of which epoch
  }

  begin() {
    this.showBeginning();
    const { panel, parameters } = this;
    const show = (result) => this.show(result);
    const fail = (error) => this.finish(`This browser could not train it: ${error}`);
    const stop = panel.trainings.train(parameters, show, fail);
    panel.setBusy(() => {
      stop();
      this.stop();
    });
  }

  showBeginning() {
    const { panel, parameters, epochs } = this;
    panel.part("progress").max = parameters.epochs;
    panel.part("progress").value = 0;
    panel.say("Training.");
    panel.write("shown", "");
    panel.drawRun(epochs);
  }

  show(result) {
    const { panel, parameters } = this;
    const { epoch, place = 0, weights, finite } = result;
    if (epoch === 0) return;
    if (weights && finite) {
      this.kept = result;
      drawUnits(panel.part("forming"), weights, parameters.hidden_size);
    }
    panel.part("progress").value = place ? epoch - 1 + place / parameters.num_samples : epoch;
    if (place)
      panel.write("shown", `Epoch ${epoch}: ${place} of ${parameters.num_samples} images.`);
    else this.showEpoch(result);
  }

  showEpoch(result) {
    const { panel } = this;
    const { epoch, error, isLast } = result;
    if (!this.changes && this.differs === null && error !== panel.run.errors[epoch - 1]) {
      this.differs = epoch;
    }
    this.drawLines(result);
    this.describeEpoch(result);
    if (isLast) this.conclude(result);
  }

  async conclude(result) {
    const { panel, parameters, changes, differs } = this;
    const { finite, weights } = result;
    if (finite) panel.pad.add({ ...parameters, weights });
    if (!crypto.subtle) {
      this.finish("Trained. ", "This browser computes no SHA-256 here, so nothing is compared.");
      return;
    }
    const digest = await digestOf(weights);
    this.finish(...describeOutcome(panel.run, changes, differs, result, digest));
  }

  drawLines(result) {
    const isDrawn = result.weights || result.epoch % Math.ceil(this.epochs / MAX_POINTS) === 0;
    for (const [name, values] of Object.entries(this.lines)) {
      values.push(toPercent(result[name]));
      if (isDrawn) this.panel.plot.set(this.panel.part(`live-${name}`), values);
    }
  }

  describeEpoch({ epoch, fitted, masked, validation }) {
    const known = validation >= 0 ? `, validation ${formatPercent(validation)}` : "";
    this.panel.write(
      "shown",
      `Thick, this training: epoch ${epoch}, ${formatPercent(fitted)}, ` +
        `under dropout ${formatPercent(masked)}${known}.`,
    );
  }

  stop() {
    const { kept, parameters, panel } = this;
    if (!kept) {
      this.finish("Stopped before it could learn.");
      return;
    }
    panel.pad.add({ ...parameters, weights: kept.weights });
    const place = kept.place ? `, after ${kept.place} of ${parameters.num_samples} images` : "";
    this.finish(
      `Stopped in epoch ${kept.epoch}${place}. `,
      "This network is kept as it is, and reads what you draw.",
    );
  }

  finish(first, ...more) {
    this.panel.setBusy(null);
    this.panel.say(first, ...more);
  }
}

// Sets up the buttons and the plot in `root`, which has repeat.html.j2. source: the text of
// network.js. pad: gets a network that has been trained.
export function setUpRepetition(root, run, source, pad) {
  new Panel(root, run, source, pad);
}
