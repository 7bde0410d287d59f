// A small network to press: its state, the parts of a step, and the panel that explains what is
// pressed.

import {
  bring,
  make,
  makeButton,
  makeNumberField,
} from "../../../pipeline/reports/scripts/show/dom.js";
import { findLoss, findWeight, makeStep, measure } from "../compute/sums.js";
import { Circles } from "../show/circles.js";
import { findFrame, findWeightAt, isInFrame } from "../show/curve.js";
import { explainPlace, explainWeight } from "../show/explain.js";
import { describe, format, invite, isDiverged } from "../show/words.js";

const RATE = {
  type: "text",
  inputmode: "decimal",
  pattern: "(?=.*[1-9])[0-9]*[.,]?[0-9]+",
  title: "A number above 0",
};

export class NetworkView {
  // phases: the parts of a step that have a button. paper: a `Paper`, which asks for numbers before
  // they are shown, or null.
  constructor(root, { phases, paper }) {
    this.root = root;
    this.drawing = new Circles();
    this.paper = paper;
    this.network = null; // measured; after an update, the network with the new weights
    this.before = null; // the network before the update
    this.phase = "forward";
    this.buttons = phases.map((name) => {
      const text = name[0].toUpperCase() + name.slice(1);
      return makeButton(text, () => this.goTo(name), { class: `action ${name}`, value: name });
    });
    root.classList.add("net");
    root.replaceChildren(make("p", { class: "phases" }, ...this.buttons));
  }

  // Builds the drawing and the panel below the buttons. others: elements to put beside the buttons.
  build(first, others = []) {
    const hasOneWeight = first.sizes.length === 2 && first.weights[0].length === 1;
    this.home = hasOneWeight ? { layer: 1, from: 0, to: 0 } : null; // what is chosen while nothing is pressed
    this.network = measure(first);
    this.says = make("p", { class: "says", role: "status" });
    this.root.firstChild.append(...others);
    this.panel = this.buildPanel();
    const workspace = make("div", { class: "workspace" }, this.drawing.build(this), this.panel);
    this.root.append(this.says, workspace);
    this.forget();
    this.show();
  }

  buildPanel() {
    this.about = make("div", { class: "about" });
    this.words = make("div", { class: "words" });
    this.slider = make("input", { type: "range", step: "any", "aria-label": "The weight" });
    this.slider.addEventListener("input", () => this.slide(this.slider.valueAsNumber));
    this.listenToDragging();
    return make("div", { class: "panel", tabindex: -1 }, this.about, this.slider, this.words);
  }

  // Lets the reader drag the dot of a curve. Each move redraws the curve, so the element around the
  // curve listens to the pointer.
  listenToDragging() {
    const drag = ({ clientX }) => {
      const curve = this.about.querySelector(".curve");
      this.slide(findWeightAt(curve, this.frame, clientX));
    };
    this.about.addEventListener("pointerdown", (event) => {
      if (!event.isPrimary || event.button !== 0 || !event.target.closest(".curve")) return;
      this.about.setPointerCapture(event.pointerId);
      drag(event);
    });
    this.about.addEventListener("pointermove", (event) => {
      if (this.about.hasPointerCapture(event.pointerId)) drag(event);
    });
  }

  // Returns a label with a field for the learning rate, which takes a decimal comma, too.
  makeRate(value) {
    const field = makeNumberField({ ...RATE, value });
    field.addEventListener("input", () => {
      if (!field.checkValidity()) return;
      this.network.rate = Number(field.value.replace(",", "."));
      this.resetCurve();
      this.renew();
    });
    this.rate = field;
    return make("label", {}, "learning rate ", field);
  }

  // Deselects what was pressed.
  forget() {
    this.chosen = this.home; // { layer, place } of a circle, { layer, from, to } of a weight, or null
    this.text = ""; // the words about the part of the step, or about a number
    this.resetCurve();
  }

  // Begins a new curve, with a frame of its own and no steps yet.
  resetCurve() {
    this.frame = null;
    this.trail = []; // the weight and the loss before each update
  }

  // Shows the first network again, before its step. The learning rate of the reader is kept, unless
  // the loss has become too large with it.
  restart(first) {
    const rate = isDiverged(this.network) ? first.rate : this.network.rate;
    this.rate.value = rate;
    this.network = { ...first, rate };
    this.phase = "forward";
    this.resetCurve();
    this.renew();
    bring(this.says);
  }

  get hasPlace() {
    return this.chosen !== null && "place" in this.chosen;
  }

  get hasWeight() {
    return this.chosen !== null && "from" in this.chosen;
  }

  get weight() {
    const { layer, from, to } = this.chosen;
    return findWeight(this.network, layer, from, to);
  }

  // item: a place or a weight, in the form that `chosen` has.
  isChosen(item) {
    return Object.entries(item).every(([name, value]) => this.chosen?.[name] === value);
  }

  // Sets the weight to a value on its curve. The value is rounded, so that the numbers below the
  // curve are those of the weight that is shown.
  slide(value) {
    const { layer, at } = this.weight;
    const steps = this.frame.high - this.frame.low < 1 ? 1000 : 100; // of the weight, from 0 to 1
    this.network.weights[layer - 1][at] = Math.round(value * steps) / steps;
    this.trail = [];
    this.renew();
  }

  // Computes all numbers again after one has changed, and shows the network as it is before a step.
  renew() {
    this.network = measure(this.network);
    this.before = null;
    if (this.phase === "update") this.phase = "forward";
    this.text = "";
    this.show();
  }

  // Explains what was pressed, in the drawing or in the panel.
  choose(chosen) {
    this.forget();
    this.chosen = chosen;
    this.show();
    this.panel.querySelector(".ask input")?.focus();
    // A row of a sum disappears when it is pressed, and takes the focus with it.
    if (document.activeElement === document.body) this.panel.focus({ preventScroll: true });
    bring(this.panel);
  }

  // Deselects what was pressed, and shows a text instead.
  say(text) {
    this.forget();
    this.text = text;
    this.show();
    this.panel.focus({ preventScroll: true });
    bring(this.root, this.says);
  }

  // Shows a part of the step, with the circle or the weight that it is about. "update" makes the step.
  goTo(phase) {
    if (phase === "update" && this.rate && !this.rate.reportValidity()) return;
    this.phase = phase;
    this.chosen = this.drawing.findSubject(this);
    this.before = null;
    if (phase === "update") this.update(); // which sets `before`
    this.text = describe(this.network, phase, this.before);
    this.show();
    bring(this.slider, this.says, this.root.firstChild); // from below the curve up to the buttons
  }

  // Makes the step.
  update() {
    this.before = this.network;
    if (this.hasWeight) {
      this.trail.push({ weight: this.weight.weight, loss: findLoss(this.network) });
    }
    this.paper?.revealAnswers();
    this.network = makeStep(this.network);
  }

  show() {
    this.root.dataset.phase = this.phase;
    for (const button of this.buttons) {
      button.setAttribute("aria-pressed", button.value === this.phase);
    }
    this.drawing.show(this);
    this.showPanel();
  }

  showPanel() {
    const { text, paper } = this;
    const invitation = paper?.hidesNumbers ? paper.invitation : invite(this);
    this.says.textContent = text === "" ? invitation : text;
    const isForm = this.chosen !== null && paper?.hidesChosen(this);
    const { figure, words } = isForm ? { figure: paper.makeForm(this), words: [] } : this.explain();
    this.about.replaceChildren(figure);
    this.words.replaceChildren(...words.map((each) => make("p", {}, each)));
    this.slider.hidden = isForm || !this.hasWeight || isDiverged(this.network);
    if (!this.slider.hidden) this.showSlider();
  }

  // Returns the figure of what is chosen, and the sentences below it.
  explain() {
    const { network, chosen } = this;
    if (isDiverged(network)) {
      const text = "The loss is too large. Start again with a smaller learning rate.";
      return { figure: "", words: [text] };
    }
    if (this.hasWeight) return this.explainWeight();
    if (this.hasPlace) return explainPlace(network, chosen, (weight) => this.choose(weight));
    return { figure: "", words: [] };
  }

  // Keeps the frame of the curve as long as the weight is in it, so that the weight is seen to move.
  explainWeight() {
    const { network, weight, trail } = this;
    if (this.frame === null || !isInFrame(network, weight, this.frame)) {
      this.frame = findFrame(network, weight, trail);
    }
    return explainWeight(network, weight, this.frame, trail);
  }

  showSlider() {
    const { slider, frame, weight } = this;
    Object.assign(slider, { min: frame.low, max: frame.high, value: weight.weight });
    slider.setAttribute("aria-valuetext", format(weight.weight));
  }
}
