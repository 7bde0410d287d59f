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

const UNKNOWN = -1; // the label of a drawing; a <select> has this index when nothing is selected

// root: where the steps are shown. pad: the pad with the drawing.
export class Steps {
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
      targets: Float64Array.from({ length: DIGITS }, (_, digit) => (digit === label ? 1 : 0)),
      inactiveSlope: this.slip.checked ? 1 : 0, // the slip: inactive units learn like active ones
      rate: learning_rate,
      classes,
    });
    this.says.textContent = "";
    this.show(null);
  }

  takeImage(place) {
    this.place = place;
    this.showsDrawing = false;
    const start = place * PIXELS;
    this.take(this.images.subarray(start, start + PIXELS), this.labels[place]);
  }

  // label: the digit that the reader says it is, or UNKNOWN before that.
  takeDrawing(label) {
    this.showsDrawing = true;
    this.choice.selectedIndex = label;
    this.take(this.drawing, label);
  }

  next() {
    const { isDrawn, imageToRead } = this.pad;
    const isNew = String(imageToRead) !== String(this.drawing);
    if (isDrawn && isNew) {
      this.drawing = imageToRead;
      this.takeDrawing(UNKNOWN);
    } else {
      this.takeImage((this.place + 1) % this.labels.length);
    }
  }

  update() {
    bring(this.root, this.says);
    if (this.showsDrawing && this.choice.selectedIndex === UNKNOWN) {
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

  // before: the network before a step, or null if there was no step.
  show(before) {
    this.tiles.show(this.network, before);
    const which = make("strong", {}, ...this.describeImage());
    this.where.replaceChildren(which, ` ${this.describeAnswers(before)}`);
  }

  // Returns words, and a field to choose from if the image is a drawing.
  describeImage() {
    if (this.showsDrawing) return ["Your drawing. This is a ", this.choice, "."];
    const { place, labels, parameters } = this;
    const write = (number) => number.toLocaleString("en");
    const name = parameters.classes[labels[place]];
    return [`Image ${write(place + 1)} of ${write(labels.length)}, a ${name}.`];
  }

  describeAnswers(before) {
    const read = ({ values }) => this.parameters.classes[argmax(values[2])];
    const now = read(this.network);
    return before ? `Read as ${read(before)}, after the step as ${now}.` : `Read as ${now}.`;
  }
}
