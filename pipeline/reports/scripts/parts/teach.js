// Teaches a network what is drawn on a pad, and finds images that it misreads.

import { DIGITS, evaluate, PIXELS, Training } from "../compute/network.js";
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
    this.nextImage = 0; // the validation image where the next search for a mistake begins
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
    const change =
      old === null
        ? ""
        : ` Accuracy on the validation images: ${formatPercent(old)} before, ${formatPercent(now)} after.`;
    return `One update was made, with ${EAGER} times the learning rate.${change}`;
  }

  // The accuracy on the validation images; null if there are none, or of other classes.
  async validate({ weights, normalisation, classes }) {
    if (!(await this.unpackValidation())) return null;
    if (String(classes) !== String(this.training.parameters.classes)) return null;
    const [, accuracy] = evaluate(...this.validation, weights, normalisation);
    return accuracy;
  }

  // Returns whether there are validation images.
  async unpackValidation() {
    const training = this.training;
    const packed = training ? [training.validation_images, training.validation_labels] : [];
    this.validation ??= await Promise.all(packed.map(unpackBytes));
    return this.validation.length > 0 && this.validation[1].length > 0;
  }

  // The next of the validation images that a network misreads, with its label, or null.
  async findMistake(network) {
    await this.unpackValidation();
    const [images, labels] = this.validation;
    for (let count = 0; count < labels.length; count++) {
      const i = this.nextImage++ % labels.length;
      const image = images.slice(i * PIXELS, (i + 1) * PIXELS); // a copy, with a buffer of its own
      if (read(image, network).answer !== labels[i]) return { image, label: labels[i] };
    }
    return null;
  }
}
