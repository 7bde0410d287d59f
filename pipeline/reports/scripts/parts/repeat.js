// Trains the run of a report again, and compares the digest of the weights with that of the run's.

import { digestOf } from "../compute/network.js";
import { count, make } from "../show/dom.js";
import { Plot } from "../show/plot.js";
import { TrainingSection, Trainings } from "./trainings.js";

// Says how training ended, as a list of texts.
function describeOutcome(run, epoch, digest) {
  const epochs = count(epoch, "epoch");
  const digestOfWeights = [" SHA-256 of the weights: ", make("code", {}, digest), ". "];
  if (digest === run.digest) {
    return [`Equal: ${epochs}.`, ...digestOfWeights, "All equal the run's to the last bit."];
  }
  return [`NOT equal: ${epochs}.`, ...digestOfWeights, `The run's is ${run.digest}.`];
}

// The section with the curves and the buttons, which has training.html.j2.
class Repetition extends TrainingSection {
  constructor(root, run, source) {
    super(root);
    this.run = run;
    this.trainings = new Trainings(run, source);
    this.plot = new Plot(this.part("accuracy"));
    this.plot.setCount(run.parameters.epochs);
    this.on("train", "click", () => this.train());
    this.on("stop", "click", () => this.halt?.());
  }

  train() {
    if (this.halt) return;
    const curves = { masked: [], fitted: [] };
    this.say("Training.");
    const show = (result) => this.show(result, curves);
    this.start(this.trainings, this.run.parameters, show, (words) => this.finish(words));
  }

  show(result, curves) {
    if (result.epoch === 0) return;
    this.write("shown", `The thick lines are this training run, epoch ${result.epoch}.`);
    for (const [name, values] of Object.entries(curves)) {
      values.push(100 * result[name]);
      this.plot.set(this.part(`live-${name}`), values);
    }
    if (result.isLast) this.conclude(result);
  }

  async conclude({ epoch, weights }) {
    if (crypto.subtle) {
      this.finish(...describeOutcome(this.run, epoch, await digestOf(weights)));
    } else {
      this.finish("Trained.", " This browser cannot compute a SHA-256 here: nothing was compared.");
    }
  }

  finish(...texts) {
    this.setBusy(null);
    this.say(...texts);
  }

  say(first, ...more) {
    this.part("outcome").replaceChildren(make("strong", {}, first), ...more);
  }
}

// Sets up the buttons and the curves in `root`. source: the text of network.js.
export function setUpRepetition(root, run, source) {
  new Repetition(root, run, source);
}
