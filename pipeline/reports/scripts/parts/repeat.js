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

// The section with the curves and the buttons, which has training.html.j2. source: the text of
// network.js.
export class Repetition extends TrainingSection {
  constructor(root, run, source) {
    super(root, new Trainings(run, source));
    this.run = run;
    this.plot = new Plot(this.part("accuracy"));
    this.plot.setCount(run.parameters.epochs);
    this.on("train", "click", () => this.train());
  }

  train() {
    if (this.isBusy) return;
    const curves = { masked: [], fitted: [] };
    this.say("Training.");
    const show = (result) => this.show(result, curves);
    const end = (words) => this.finish(words);
    this.start(this.run.parameters, show, end);
  }

  show(result, curves) {
    if (result.epoch === 0) return; // nothing is measured yet
    this.write("shown", `The thick lines are this training run, epoch ${result.epoch}.`);
    for (const [name, values] of Object.entries(curves)) {
      values.push(100 * result[name]);
      this.plot.set(this.part(`live-${name}`), values);
    }
    if (result.isLast) this.conclude(result);
  }

  async conclude({ epoch, weights }) {
    // A browser offers this only to pages that it trusts.
    if (!crypto.subtle) {
      this.finish("Trained.", " This browser cannot compute a SHA-256 here: nothing was compared.");
      return;
    }
    const digest = await digestOf(weights);
    this.finish(...describeOutcome(this.run, epoch, digest));
  }

  // Says how training ended: first what matters most, which is shown in bold.
  finish(...texts) {
    this.setStop(null);
    this.say(...texts);
  }

  say(first, ...more) {
    this.part("outcome").replaceChildren(make("strong", {}, first), ...more);
  }
}
