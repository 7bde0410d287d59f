// Draws the real network: the image, a tile with the weights of each hidden unit, and the scores.
// Frames mark what flows.

import { argmax, DIGITS } from "../compute/network.js";
import { SIDE } from "../compute/reading.js";
import { findWeight } from "../compute/sums.js";
import { formatNumber, make, makeButton } from "./dom.js";
import { diverging, findLimit, grey, maxAbs, paint, paintSigned } from "./paint.js";
import { isDropped, isInactive, nameColours, signOf } from "./words.js";

const makeCanvas = (name) => make("canvas", { class: name, width: SIDE, height: SIDE });

export class Tiles {
  showsBefore = true; // an update's gradients are those of the weights before it

  // about: the element that says which image this is.
  constructor(about) {
    this.about = about;
  }

  build(view) {
    const { sizes } = view.network;
    this.image = makeCanvas("image");
    this.image.setAttribute("role", "img");
    const figure = make("figure", {}, this.image);
    this.units = Array.from({ length: sizes[1] }, (_, unit) =>
      makeButton("", () => view.choose([1, unit])),
    );
    for (const button of this.units) button.append(makeCanvas(""), make("span"));
    this.scores = Array.from({ length: DIGITS }, (_, digit) =>
      makeButton("", () => view.choose([2, digit])),
    );
    for (const button of this.scores) button.append(make("b"), make("span"), make("small"));
    this.legend = make("p", { class: "legend" });
    const group = (name, label, buttons) =>
      make("div", { class: name, role: "group", "aria-label": label }, ...buttons);
    const picture = make(
      "div",
      { class: "picture" },
      make("div", { class: "top" }, figure, this.about),
      group("row", "Hidden units of this step", this.units),
      group("rows", "Scores", this.scores),
    );
    return make("div", {}, picture, this.legend);
  }

  // What is chosen stays chosen; nothing else opens, since that would cover the tiles on a phone.
  findSubject({ chosen }) {
    return chosen;
  }

  show(view) {
    // The place that is pressed, also if it is one of its weights that is chosen.
    const { layer, to } = view.chosen ?? {};
    this.place = Array.isArray(view.chosen) ? view.chosen : [layer, to];
    this.answer = argmax(view.drawn.values[2]);
    this.showImage(view);
    const flows = this.findFlows(view);
    const { signals, weights } = view.drawn;
    const most = view.phase === "update" ? maxAbs(signals[1]) : findLimit(weights[0]);
    this.units.forEach((button, unit) => {
      this.showUnit(view, button, unit, diverging(most));
      this.frame(button, flows[unit], flows);
    });
    this.showScores(view);
    this.legend.replaceChildren(...this.describe(view));
  }

  // The image, or what each of its pixels adds to the pressed unit.
  showImage({ drawn, phase }) {
    const [layer, unit] = this.place;
    const size = drawn.sizes[1];
    const isSum = layer === 1 && phase === "forward";
    const name = isSum ? `What each pixel adds to unit ${unit}` : "The image";
    this.image.setAttribute("aria-label", name);
    const { inputs, weights, pixels } = drawn;
    if (isSum)
      paintSigned(
        this.image,
        inputs.map((ink, p) => ink * weights[0][p * size + unit]),
      );
    else paint(this.image, [...pixels].map(grey));
  }

  // What flows between a unit and a score: what the unit adds to it, or what comes back from it.
  findFlow({ drawn, phase }, unit, digit) {
    const { weight, input, signal } = findWeight(drawn, 2, unit, digit);
    if (phase === "forward") return input * weight;
    return phase === "back" && drawn.signals[1][unit] ? signal * weight : 0;
  }

  // What flows at each unit: to or from the pressed score, or else to the answer, or all that comes
  // back.
  findFlows(view) {
    if (this.place[0] === 1) return this.units.map(() => 0); // the scores have frames then
    if (view.phase === "back" && this.place[0] !== 2) return [...view.drawn.signals[1]];
    return this.units.map((_, unit) => this.findFlow(view, unit, this.score));
  }

  get score() {
    return this.place[0] === 2 ? this.place[1] : this.answer;
  }

  // Frames a button, by what flows there in comparison with the most.
  frame(button, flow, flows) {
    button.classList.add(signOf(flow));
    button.style.setProperty("--part", Math.abs(flow) / (maxAbs(flows) || 1));
  }

  // colour: of a weight, or of its slope.
  showUnit({ drawn, phase }, button, unit, colour) {
    const { values, signals, weights, inputs, sizes } = drawn;
    const isBack = phase === "back" || phase === "update";
    const isUpdate = phase === "update";
    const [picture, number] = button.children;
    const numberOf = (input, pixel) =>
      isUpdate ? input * signals[1][unit] : weights[0][pixel * sizes[1] + unit];
    paint(picture, inputs.map(numberOf).map(colour));
    const state = this.findState(drawn, unit);
    const value = formatNumber((isBack ? signals : values)[1][unit]);
    number.textContent = state === "dropped" ? "–" : value;
    button.className = state;
    const noun = isBack ? "error signal" : "activation";
    const rest = state === "dropped" ? "" : `, ${noun} ${value}`;
    button.setAttribute("aria-label", `Hidden unit ${unit}: ${state}${rest}`);
    button.setAttribute("aria-pressed", this.place[0] === 1 && this.place[1] === unit);
  }

  findState(network, unit) {
    if (isDropped(network, 1, unit)) return "dropped";
    return isInactive(network, 1, unit) ? "inactive" : "active";
  }

  showScores(view) {
    const { drawn, network, phase } = view;
    const { values, targets, signals, nameOf } = drawn;
    const [layer, unit] = this.place;
    const flows = this.scores.map((_, digit) =>
      layer === 1 ? this.findFlow(view, unit, digit) : 0,
    );
    this.scores.forEach((button, digit) => {
      const [score, signal, after] = [values, signals, network.values].map((all) =>
        formatNumber(all[2][digit]),
      );
      const isBack = phase === "error" || phase === "back";
      const rest = isBack
        ? `- ${targets[digit]} = ${signal}`
        : phase === "update"
          ? `→ ${after}`
          : "";
      const read = isBack ? `, target ${targets[digit]}, error signal ${signal}` : "";
      const then = phase === "update" ? `, after the step ${after}` : read;
      [drawn.classes[digit] ?? "unused", score, rest].forEach((text, k) => {
        button.children[k].textContent = text;
      });
      button.className = "";
      button.classList.toggle("label", targets[digit] === 1);
      button.classList.toggle("answer", digit === this.answer);
      button.setAttribute("aria-label", `${nameOf(2, digit)}: ${score}${then}`);
      button.setAttribute("aria-pressed", layer === 2 && unit === digit);
      this.frame(button, flows[digit], flows);
    });
  }

  // What the marks say at this part of the step.
  describe({ phase, drawn }) {
    const [layer, unit] = this.place;
    const score = `the ${drawn.nameOf(2, this.score)}`;
    const frames = {
      forward: layer === 1 ? `what unit ${unit} adds to a score` : `what a unit adds to ${score}`,
      back:
        {
          1: `what comes back to unit ${unit} from a score`,
          2: `what comes back to a unit from ${score}`,
        }[layer] ?? "the error signal of a unit",
    }[phase];
    const picture =
      phase === "update"
        ? "A tile shows the slopes of a unit's weights, and its error signal. Where it is blue, the weight rises. "
        : `A tile shows a unit's weights, one for each pixel, and its ${phase === "back" ? "error signal" : "activation"}. `;
    return [
      picture,
      frames ? `The width of a frame is ${frames}. ` : "",
      layer === 1 && phase === "forward" ? "Above stands what each pixel adds to this unit. " : "",
      ...nameColours(),
      ". A broken frame is an inactive unit. ",
      drawn.hasMask ? "A pale tile with – is a dropped one. " : "",
      "The filled score is the label's, and ▸ marks the answer.",
    ];
  }
}
