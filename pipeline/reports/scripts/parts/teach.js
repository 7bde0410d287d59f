// Teaches a network what is drawn on a pad.

import { DIGITS, evaluate, Training } from "../compute/network.js";
import { read, unpackBytes } from "../compute/reading.js";
import { formatPercent } from "../show/dom.js";

const EAGER = 5; // the step of "Teach it", in learning rates
const DEFAULTS = { learning_rate: 0.005, relu_grad_inactive: 1, seed: 1 }; // where a page cannot train

// Returns the weights after one update of copies of them with an image and its label, without
// dropout.
function learnImage({ weights, normalisation }, image, label, parameters) {
  const copies = {
    first: Float64Array.from(weights.first),
    second: Float64Array.from(weights.second),
  };
  const once = { ...parameters, normalisation, hidden_size: copies.second.length / DIGITS };
  once.learning_rate *= EAGER;
  once.dropout_rate = 0;
  once.input_dropout_rate = 0;
  new Training(image, [label], once, copies).next();
  return copies;
}

// training: what train.js reads, or null where a page cannot train.
export class Teacher {
  constructor(training) {
    this.training = training;
    this.validation = null; // images and labels, once unpacked
  }

  // Makes one update with an image, and returns what it did in words.
  async teach(network, image, label) {
    if (!network.weights || image.every((ink) => ink === 0)) return "Draw something first.";
    if (label < 0) return "First choose what it is, after “This is a”.";
    network.before ??= network.weights;
    const weights = learnImage(network, image, label, this.training?.parameters ?? DEFAULTS);
    const old = await this.validate(network);
    network.weights = weights;
    const now = await this.validate(network);
    const isWrong = read(image, network).answer !== label;
    const again = isWrong ? " It still reads wrongly, so press again for another step." : "";
    const others = old === null ? "" : ` ${this.compare(old, now)}`;
    return `It has learned from your drawing, in one step.${again}${others}`;
  }

  // What an update has done to other images.
  compare(old, now) {
    const count = this.training.numValidation.toLocaleString("en");
    const why = now < old ? ": it reads them all with the same weights, so others may suffer" : "";
    return `Of ${count} other images it reads ${formatPercent(now)}, before it ${formatPercent(old)}${why}.`;
  }

  // The accuracy on the validation images; null if there are none, or of other classes.
  async validate({ weights, normalisation, classes }) {
    const { training } = this;
    if (!training?.numValidation) return null;
    if (String(classes) !== String(training.parameters.classes)) return null;
    const packed = [training.validation_images, training.validation_labels];
    this.validation ??= await Promise.all(packed.map(unpackBytes));
    const [, accuracy] = evaluate(...this.validation, weights, normalisation);
    return accuracy;
  }
}
