// Shows one step of the real network at a time, from its weights before the training: for the first
// training image, then for what the reader has drawn, then for the other images.

import { argmax, DIGITS, PIXELS, Training } from "../compute/network.js";
import { SIDE, unpackBytes } from "../compute/reading.js";
import { make, makeButton } from "../show/dom.js";
import { Tiles } from "../show/tiles.js";
import { NetworkView } from "./network_view.js";

class Steps {
  // pad: has getDrawing, which returns what is drawn and what it is, or null.
  constructor(root, { parameters, images, labels }, pad) {
    this.root = root;
    this.packed = [images, labels];
    this.parameters = { ...parameters, dropout_rate: 0, input_dropout_rate: 0 };
    this.pad = pad;
    this.place = 0; // of the next training image
    this.drawing = null; // the latest one that has been shown
    this.where = make("p", { class: "where" });
    this.choice = make("select", { "aria-label": "Your drawing is a" });
    this.choice.append(...parameters.classes.map((name) => new Option(name)));
    this.choice.addEventListener("change", () => this.label());
    const onShow = () => this.describe();
    this.view = new NetworkView(root, new Tiles(this.where), { phases: ["update"], onShow });
  }

  async begin() {
    [this.images, this.labels] = await Promise.all(this.packed.map(unpackBytes));
    const { weights, scaled } = new Training(this.images, this.labels, this.parameters);
    this.scaled = scaled;
    this.take(this.images.subarray(0, PIXELS), this.labels[0], [weights.first, weights.second]);
    this.view.build(this.network);
    const next = makeButton("Next image", () => this.next(), { class: "action" });
    this.root.firstChild.prepend(next);
  }

  // Takes an image, with its label, for the weights to learn from.
  take(pixels, label, weights = this.view.network.weights) {
    const { parameters, scaled } = this;
    const { classes, learning_rate, hidden_size } = parameters;
    this.isDrawn = false;
    this.network = {
      sizes: [PIXELS, hidden_size, DIGITS],
      weights,
      pixels,
      inputs: Float64Array.from(pixels, (pixel) => scaled[pixel]),
      targets: Float64Array.from({ length: DIGITS }, (_, digit) => Number(digit === label)),
      inactive: 0,
      rate: learning_rate,
      classes,
      most: 5,
      nameOf: (layer, at) => {
        if (layer === 0) return `pixel row ${Math.floor(at / SIDE)}, column ${at % SIDE}`;
        return layer === 1 ? `hidden unit ${at}` : `the score of ${classes[at]}`;
      },
    };
  }

  next() {
    const drawing = this.pad.getDrawing();
    if (drawing && String(drawing.image) !== String(this.drawing)) {
      this.drawing = drawing.image;
      this.take(drawing.image, drawing.label);
      this.choice.selectedIndex = drawing.label;
      this.isDrawn = true;
    } else {
      this.place = (this.place + 1) % this.labels.length;
      const start = this.place * PIXELS;
      this.take(this.images.subarray(start, start + PIXELS), this.labels[this.place]);
    }
    this.view.load(this.network);
  }

  // Takes what the reader says of the drawing.
  label() {
    this.take(this.drawing, this.choice.selectedIndex);
    this.isDrawn = true;
    this.view.load(this.network);
  }

  describe() {
    const { network, before } = this.view;
    const { classes } = this.parameters;
    const [answer, after] = [before, network]
      .filter(Boolean)
      .map(({ values }) => classes[argmax(values[2])]);
    const count = this.labels.length.toLocaleString("en");
    const place = (this.place + 1).toLocaleString("en");
    const which = this.isDrawn
      ? ["Your drawing. This is a ", this.choice, "."]
      : [`Image ${place} of ${count}, a ${classes[this.labels[this.place]]}.`];
    const read = ` Read as ${answer}${after ? `, after the step as ${after}` : ""}.`;
    this.where.replaceChildren(make("strong", {}, ...which), read);
  }
}

// Shows the steps in `root`. pad: see above.
export function setUpSteps(root, training, pad) {
  new Steps(root, training, pad).begin();
}
