// Shows one step of the real network at a time. The network begins with its weights before
// training. The first step is for the first training image. If the reader has drawn something new,
// the next step is for the drawing, and otherwise for the next training image. A switch turns on the
// slip, and begins again.

import {
  argmax,
  DIGITS,
  PIXELS,
  Training,
} from "../../../pipeline/reports/scripts/compute/network.js";
import { unpackBytes } from "../../../pipeline/reports/scripts/compute/reading.js";
import { bring, make, makeButton, makeSwitch } from "../../../pipeline/reports/scripts/show/dom.js";
import { makeStep, measure } from "../compute/sums.js";
import { describeStep, Tiles } from "../show/tiles.js";

class Steps {
  constructor(root, { parameters, images, labels }, pad) {
    this.root = root;
    this.packed = [images, labels]; // which begin() unpacks
    this.parameters = { ...parameters, dropout_rate: 0, input_dropout_rate: 0 };
    this.pad = pad;
    this.place = 0; // of the next training image
    this.drawing = null; // the latest one that has been shown
    this.where = make("p", { class: "where" }); // says which image is shown
    this.says = make("p", { class: "says", role: "status" });
    this.choice = make("select", { "aria-label": "Your drawing is a" });
    this.choice.append(...parameters.classes.map((name) => new Option(name)));
    this.choice.addEventListener("change", () => this.takeDrawing(this.choice.selectedIndex));
    // The slip is >= in place of > in the slope of the ReLU, so that inactive units learn, too.
    const slipText = ["learn when inactive (", make("code", {}, ">="), ")"];
    [this.slip, this.slipLabel] = makeSwitch(slipText, () => this.restart());
  }

  async begin() {
    [this.images, this.labels] = await Promise.all(this.packed.map(unpackBytes));
    this.sizes = [PIXELS, this.parameters.hidden_size, DIGITS];
    this.tiles = new Tiles(this.sizes, this.where);
    const next = makeButton("Next image", () => this.next(), { class: "action" });
    const update = makeButton("Update", () => this.update(), { class: "action update" });
    const buttons = make("p", { class: "phases" }, next, update, this.slipLabel);
    this.root.classList.add("net");
    this.root.append(buttons, this.says, this.tiles.root);
    this.restart();
  }

  // Begins again with the first image and with untrained weights.
  restart() {
    const { weights, scaled } = new Training(this.images, this.labels, this.parameters);
    this.scaled = scaled;
    this.weights = [weights.first, weights.second];
    this.drawing = null;
    this.takeImage(0);
  }

  // Shows an image and its label, from which the next update of the weights learns.
  take(pixels, label) {
    const { parameters, scaled, sizes, weights } = this;
    const { classes, learning_rate } = parameters;
    this.network = measure({
      sizes,
      weights,
      pixels,
      inputs: Float64Array.from(pixels, (pixel) => scaled[pixel]),
      targets: Float64Array.from({ length: DIGITS }, (_, digit) => Number(digit === label)),
      inactive: Number(this.slip.checked),
      rate: learning_rate,
      classes,
    });
    this.says.textContent = "";
    this.show(null);
  }

  takeImage(place) {
    this.place = place;
    this.isDrawn = false;
    const start = place * PIXELS;
    this.take(this.images.subarray(start, start + PIXELS), this.labels[place]);
  }

  // label: the digit that the reader says it is, or -1 before that.
  takeDrawing(label) {
    this.isDrawn = true;
    this.choice.selectedIndex = label;
    this.take(this.drawing, label);
  }

  next() {
    const { isDrawn, imageToRead } = this.pad;
    if (isDrawn && String(imageToRead) !== String(this.drawing)) {
      this.drawing = imageToRead;
      this.takeDrawing(-1);
    } else {
      this.takeImage((this.place + 1) % this.labels.length);
    }
  }

  update() {
    bring(this.root, this.says);
    if (this.isDrawn && this.choice.selectedIndex < 0) {
      this.says.textContent = "First say which digit you have drawn.";
      this.choice.focus({ preventScroll: true });
      return;
    }
    const before = this.network;
    this.network = makeStep(before);
    this.weights = this.network.weights;
    this.says.textContent = describeStep(before);
    this.show(before);
  }

  // before: the network before a step, if there was one.
  show(before) {
    const { network, place, labels } = this;
    const { classes } = this.parameters;
    this.tiles.show(network, before);
    const [answer, after] = [before, network]
      .filter(Boolean)
      .map(({ values }) => classes[argmax(values[2])]);
    const [number, count] = [place + 1, labels.length].map((each) => each.toLocaleString("en"));
    const which = this.isDrawn
      ? ["Your drawing. This is a ", this.choice, "."]
      : [`Image ${number} of ${count}, a ${classes[labels[place]]}.`];
    const read = ` Read as ${answer}${after ? `, after the step as ${after}` : ""}.`;
    this.where.replaceChildren(make("strong", {}, ...which), read);
  }
}

// Shows the steps in `root`. pad: the pad with the drawing.
export function setUpSteps(root, training, pad) {
  new Steps(root, training, pad).begin();
}
