// Teaches a network the drawing on a pad.

import { DIGITS, evaluate, Training } from "../compute/network.js";
import { read, unpackBytes } from "../compute/reading.js";
import { formatPercent } from "../show/dom.js";

const EAGER = 5; // the step of "Teach it", in learning rates

// Returns copies of the weights after one update with an image and its label, without dropout.
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

// training: the data for training, as live.py collects it, or null.
export class Teacher {
  constructor(training) {
    this.training = training;
    this.validation = null; // images and labels, once unpacked
  }

  // Makes one update with an image, and says what the update has done.
  async teach(network, image, label) {
    if (!network.weights || image.every((ink) => ink === 0)) return "Draw something first.";
    if (label < 0) return "First choose what it is, after “This is a”.";
    network.before ??= network.weights;
    network.weights = learnImage(network, image, label, this.training.parameters);
    const isWrong = read(image, network).answer !== label;
    const again = isWrong ? " Its answer is still wrong, so press again for another step." : "";
    return `It has learned from your drawing, in one step.${again}${await this.compare(network)}`;
  }

  // Says how the accuracy on other images has changed since the network was first taught.
  async compare({ weights, before, normalisation }) {
    const [now, old] = [
      await this.validate({ weights, normalisation }),
      await this.validate({ weights: before, normalisation }),
    ];
    if (now === null) return "";
    const count = this.training.numValidation.toLocaleString("en");
    const why = now < old ? ": a step for one image may harm others" : "";
    return (
      ` It now reads ${formatPercent(now)} of ${count} other images correctly; ` +
      `before you taught it, it was ${formatPercent(old)}${why}.`
    );
  }

  // Returns the accuracy on the validation images, or null if there are none.
  async validate({ weights, normalisation }) {
    const { training } = this;
    if (!training.numValidation) return null;
    const packed = [training.validation_images, training.validation_labels];
    this.validation ??= await Promise.all(packed.map(unpackBytes));
    const [, accuracy] = evaluate(...this.validation, weights, normalisation);
    return accuracy;
  }
}
