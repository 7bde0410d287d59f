// Trains the run of a report again. The digest of the weights is compared with that of the run's own
// weights.

import { digestOf } from "../compute/network.js";
import { count, make } from "../show/dom.js";
import { drawUnits } from "../show/paint.js";
import { Plot } from "../show/plot.js";
import { TrainingSection, Trainings } from "./trainings.js";

const toPercent = (fraction) => 100 * fraction;

// Says how training ended, as a list of texts.
function describeOutcome(run, epoch, digest) {
  const epochs = count(epoch, "epoch");
  const reads = "It now reads what you draw.";
  const digestOfWeights = [" SHA-256 of the weights: ", make("code", {}, digest), ". "];
  if (digest === run.digest) {
    const equal = `All weights equal the run's to the last bit. ${reads}`;
    return [`Equal: ${epochs}.`, ...digestOfWeights, equal];
  }
  return [`NOT equal: ${epochs}.`, ...digestOfWeights, `The run's is ${run.digest}. ${reads}`];
}

// The section with the buttons and the plot.
class Panel extends TrainingSection {
  constructor(root, run, source, pad) {
    super(root);
    this.run = run;
    this.trainings = new Trainings(run, source);
    this.pad = pad;
    this.plot = new Plot(this.part("accuracy"));
    this.on("train", "click", () => this.train());
    this.on("stop", "click", () => this.halt?.());
  }

  say(first, ...more) {
    this.part("outcome").replaceChildren(make("strong", {}, first), ...more);
  }

  train() {
    if (!this.halt) new Repetition(this).begin();
  }

  // Draws the run's own curves, and empties the others.
  drawRun() {
    this.plot.setCount(this.run.parameters.epochs);
    for (const [name, values] of Object.entries(this.run.curves)) {
      this.plot.set(this.part(`run-${name}`), values.map(toPercent));
      this.plot.set(this.part(`live-${name}`), []);
    }
  }
}

// One training run, from the press of a button to its end.
class Repetition {
  constructor(panel) {
    this.panel = panel;
    this.parameters = panel.run.parameters;
    this.lines = Object.fromEntries(Object.keys(panel.run.curves).map((name) => [name, []]));
  }

  begin() {
    const { panel, parameters } = this;
    panel.say("Training.");
    panel.write("shown", "");
    panel.drawRun();
    const show = (result) => this.show(result);
    panel.start(panel.trainings, parameters, show, (words) => this.finish(words));
  }

  show(result) {
    const { panel, parameters } = this;
    const { epoch, weights, finite, isLast } = result;
    if (epoch === 0) return;
    if (weights && finite) drawUnits(panel.part("forming"), weights, parameters.hidden_size);
    panel.write("shown", `The thick lines are this training run, epoch ${epoch}.`);
    this.drawLines(result);
    if (isLast) this.conclude(result);
  }

  async conclude(result) {
    const { panel, parameters } = this;
    const { epoch, weights } = result;
    panel.pad.add({ ...parameters, weights });
    if (!crypto.subtle) {
      this.finish(
        "Trained. ",
        "This browser cannot compute a SHA-256 here, so nothing was compared.",
      );
      return;
    }
    const digest = await digestOf(weights);
    this.finish(...describeOutcome(panel.run, epoch, digest));
  }

  drawLines(result) {
    for (const [name, values] of Object.entries(this.lines)) {
      values.push(toPercent(result[name]));
      if (result.weights) this.panel.plot.set(this.panel.part(`live-${name}`), values);
    }
  }

  finish(first, ...more) {
    this.panel.setBusy(null);
    this.panel.say(first, ...more);
  }
}

// Sets up the buttons and the plot in `root`, which has repeat.html.j2. source: the text of
// network.js. pad: the pad, which gets each network that has been trained.
export function setUpRepetition(root, run, source, pad) {
  new Panel(root, run, source, pad);
}
