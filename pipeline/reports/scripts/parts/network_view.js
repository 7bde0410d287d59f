// A network that is pressed, small or real: its state, the four parts of a step, and the one panel
// that explains what is pressed. A drawing shows it: circles.js or tiles.js.

import { findError, findWeight, makeStep, measure } from "../compute/sums.js";
import { findFrame, findStretch, roll, widenFrame } from "../show/curve.js";
import { formatShort, make, makeButton } from "../show/dom.js";
import { explainPlace, explainStep, explainWeight } from "../show/explain.js";
import { reveal } from "../show/view.js";
import {
  describe,
  describeError,
  findNumber,
  findNumberFault,
  findRateFault,
  format,
  INVITATION,
  isDiverged,
  PHASES,
} from "../show/words.js";

const MOST = 24; // weights in one matrix, if a table lists them after a step

export class NetworkView {
  // drawing: has build, which takes the view and returns an element, and show. paper: what is asked
  // before it is shown, if anything. onShow: is called after each change.
  constructor(root, drawing, { paper = null, onShow = () => {} } = {}) {
    this.root = root;
    this.drawing = drawing;
    this.paper = paper;
    this.onShow = onShow;
    this.network = null; // measured; after an update that with the new weights
    this.before = null; // as it was before the update
    this.phase = "forward";
    this.buttons = PHASES.map((name) => {
      const act = () => this.goTo(name);
      const text = name[0].toUpperCase() + name.slice(1);
      return makeButton(text, act, { class: "action", value: name, "aria-pressed": false });
    });
    this.root.classList.add("net");
    this.root.replaceChildren(make("p", { class: "phases" }, ...this.buttons));
    this.root.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && this.isOpen) this.close();
    });
    this.forget();
  }

  // Lets go of what was pressed.
  forget() {
    this.chosen = null; // a place, [layer, place], or a weight, { layer, from, to }
    this.text = ""; // what is said of the part of the step, or of a wrong number
    this.isOpen = false; // whether the panel answers something
    this.resetCurve();
  }

  // Begins with a new curve: it has a frame of its own, and no steps yet.
  resetCurve() {
    this.frame = null;
    this.trail = []; // where the weight was before each update, and its loss
    this.rollFrom = null; // where the dot was before an update that is not shown yet
  }

  // Takes a network as sums.js has it, at the present part of the step.
  load(network) {
    this.network = measure(network);
    this.before = null;
    this.resetCurve();
    if (this.phase === "update") this.update();
    this.show();
  }

  // The network whose numbers the drawing and the sums show.
  get drawn() {
    return this.drawing.showsBefore && this.before ? this.before : this.network;
  }

  get hasWeight() {
    return this.chosen !== null && !Array.isArray(this.chosen);
  }

  // Whether the update waits for a prediction, which the panel must not give away.
  get awaitsPrediction() {
    return this.buttons.at(-1).getAttribute("aria-disabled") === "true";
  }

  isChosen(layer, place) {
    const { chosen } = this;
    return Array.isArray(chosen) && chosen[0] === layer && chosen[1] === place;
  }

  // Builds what is below the buttons of the parts. others: elements beside them.
  build(first, others = []) {
    this.network = measure(first);
    this.root.firstChild.append(...others);
    this.panel = this.buildPanel();
    this.root.append(make("div", { class: "workspace" }, this.drawing.build(this), this.panel));
    this.show();
  }

  buildPanel() {
    this.says = make("p", { class: "says", role: "status" });
    this.errors = make("p", { class: "errors" });
    this.about = make("div", { class: "about" });
    this.words = make("div", { class: "words" });
    this.numberName = make("span");
    this.field = this.makeField(0, findNumberFault, (value) => this.setNumber(value));
    this.slider = make("input", { type: "range", step: "any", "aria-label": "The weight" });
    this.slider.addEventListener("input", () => {
      this.setNumber(this.slider.valueAsNumber);
      this.renew(true);
    });
    const label = make("label", {}, this.numberName, this.field);
    this.number = make("div", { class: "number" }, this.slider, label);
    const close = makeButton("Close", () => this.close(), { class: "action close" });
    const parts = [close, this.says, this.errors, this.about, this.number, this.words];
    return make("div", { class: "panel", tabindex: -1 }, ...parts);
  }

  // findFault: says why a number is refused, or nothing.
  makeField(value, findFault, change) {
    const field = make("input", { type: "number", step: "any", value, autocomplete: "off" });
    field.addEventListener("input", () => {
      const fault = findFault(field.valueAsNumber);
      field.setCustomValidity(fault);
      if (fault) {
        this.says.textContent = fault;
        return;
      }
      change(field.valueAsNumber);
      this.renew();
    });
    return field;
  }

  // A field for the learning rate, in a label.
  makeRate(rate) {
    this.rate = this.makeField(formatShort(rate), findRateFault, (value) => {
      this.network.rate = value;
    });
    return make("label", {}, "learning rate ", this.rate);
  }

  // Begins with these weights again. It keeps the learning rate, unless it was too large, and the
  // curve of a weight stays open.
  restart(first) {
    const rate = isDiverged(this.network) ? first.rate : this.network.rate;
    this.rate.value = formatShort(rate);
    this.rate.setCustomValidity("");
    this.phase = "forward";
    if (this.hasWeight) this.open({ chosen: this.chosen });
    else this.forget();
    this.load({ ...first, rate });
  }

  setNumber(value) {
    const { list, at } = findNumber(this.network, this.chosen);
    list[at] = value;
  }

  // Computes all numbers again after one has changed. The slider moves in its curve's frame.
  renew(isSlider = false) {
    this.network = measure(this.network);
    this.before = null;
    if (this.phase === "update") this.phase = "forward";
    if (isSlider) this.trail = [];
    else this.resetCurve();
    this.text = "";
    this.show();
  }

  // Opens the panel anew, with what is chosen or with a text.
  open(answer) {
    this.forget();
    Object.assign(this, answer, { isOpen: true });
  }

  // Explains what was pressed, in the drawing or in the panel.
  choose(chosen) {
    this.open({ chosen });
    this.show();
    this.panel.querySelector(".ask input")?.focus({ preventScroll: true });
    // A row of a sum is gone when it has been pressed.
    if (document.activeElement === document.body) this.panel.focus({ preventScroll: true });
    this.keepInView();
  }

  // Says something in place of what is chosen, in a panel as low as that.
  say(text) {
    this.open({ text });
    this.show();
    this.panel.focus({ preventScroll: true });
  }

  goTo(phase) {
    if (phase === "update" && this.rate && !this.rate.reportValidity()) {
      this.says.textContent = this.rate.validationMessage;
      return;
    }
    this.phase = phase;
    this.before = null;
    this.text = describe(this.network, phase);
    this.chosen = this.drawing.findSubject(this);
    if (phase === "update") this.update();
    this.isOpen = true;
    this.show();
    this.keepInView();
  }

  // Makes the step.
  update() {
    this.before = this.network;
    if (this.hasWeight) this.keepDot();
    this.paper?.revealAnswers();
    this.network = makeStep(this.network);
  }

  // Keeps where the weight is, before it moves.
  keepDot() {
    const { weight } = this.weight;
    this.trail.push([weight, findError(this.network) / 2]);
    this.rollFrom = weight;
  }

  close() {
    const pressed = this.findPressed() ?? this.buttons.find(({ value }) => value === this.phase);
    this.forget();
    this.show();
    pressed?.focus({ preventScroll: true });
  }

  // The pressed button of the drawing.
  findPressed() {
    return this.root.querySelector(".picture [aria-pressed=true]");
  }

  keepInView() {
    const pressed = this.findPressed();
    if (pressed) reveal(this.panel, pressed);
    else reveal(this.panel, this.root.querySelector(".picture"), this.root);
  }

  show() {
    this.root.dataset.phase = this.phase;
    for (const button of this.buttons) {
      button.setAttribute("aria-pressed", button.value === this.phase);
    }
    this.drawing.show(this);
    this.showPanel();
    this.onShow(this);
  }

  showPanel() {
    const { network, before, paper, isOpen } = this;
    this.panel.classList.toggle("drawer", isOpen);
    const invitation = paper?.isAsking ? paper.invitation : INVITATION;
    const text = this.chosen && paper?.asks(this) ? "" : this.text; // what asks says enough
    this.says.textContent = isOpen ? text : invitation;
    const hasError = !paper?.isAsking && (this.hasWeight || this.phase !== "forward");
    this.errors.textContent = hasError ? describeError(network, before) : "";
    const { figure, words } = this.explain();
    this.about.replaceChildren(figure);
    this.words.replaceChildren(...words);
    this.showNumber();
    const { rollFrom } = this;
    this.rollFrom = null;
    if (rollFrom !== null && !isDiverged(network)) {
      roll(this.about, network, this.weight, this.frame, rollFrom);
    }
  }

  // Returns the figure of what is chosen, and what is said below it.
  explain() {
    const { network, drawn, chosen, before, paper } = this;
    const press = (weight) => this.choose(weight);
    if (isDiverged(network)) {
      const text =
        "The error is too large. Write a smaller number, or start again with a smaller learning rate.";
      return { figure: make("p", {}, text), words: [] };
    }
    if (chosen && paper?.asks(this)) return { figure: paper.ask(this), words: [] };
    if (this.hasWeight) return this.explainWeight();
    if (chosen) return explainPlace(drawn, ...chosen, this.awaitsPrediction, press);
    const isShort = before?.weights.every(({ length }) => length <= MOST);
    return isShort ? explainStep(before, press) : { figure: "", words: [] };
  }

  get weight() {
    const { layer, from, to } = this.chosen;
    return findWeight(this.network, layer, from, to);
  }

  explainWeight() {
    const { network, weight, frame } = this;
    this.frame = frame ? widenFrame(network, weight, frame) : findFrame(network, weight);
    this.frame.stretch ??= findStretch(network, weight, this.frame);
    return explainWeight(network, weight, this.frame, this.trail, this.awaitsPrediction);
  }

  // Shows the number that can be changed where something is chosen.
  showNumber() {
    const { network, chosen, field, slider, hasWeight } = this;
    const isShown = chosen !== null && !this.paper?.asks(this);
    const number = isShown ? findNumber(network, chosen) : null;
    this.number.hidden = !number;
    slider.hidden = !hasWeight || isDiverged(network);
    if (!number) return;
    const value = number.list[number.at];
    this.numberName.textContent = `Change ${number.name}: `;
    if (field !== document.activeElement) {
      field.value = formatShort(value);
      field.setCustomValidity("");
    }
    if (slider.hidden) return;
    Object.assign(slider, { min: this.frame.low, max: this.frame.high, value });
    slider.setAttribute("aria-valuetext", format(value));
  }
}
