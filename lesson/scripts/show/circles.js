// Draws a small network: numbers as circles, and weights as lines with numbers.

import { make, makeButton } from "../../../pipeline/reports/scripts/show/dom.js";
import { findWeight, listPlaces, listWeights } from "../compute/sums.js";
import { format, isInactive, signOf } from "./words.js";

const drawLine = ([x1, y1], [x2, y2]) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`;

// Returns the place of a circle's centre: across as a share of the picture, and down in rows.
function locate({ sizes }, layer, place) {
  const left = 0.1 + (0.66 * layer) / (sizes.length - 1);
  return [left, 0.75 + (Math.max(...sizes) - sizes[layer]) / 2 + place];
}

// Returns the place of the words under a circle.
function locateUnder(network, layer, place) {
  const [across, down] = locate(network, layer, place);
  return [across, down + 0.49];
}

// Puts an element's centre at a place of the picture.
function put(element, [across, down]) {
  element.style.left = `${100 * across}%`;
  element.style.top = `calc(${down} * var(--row))`;
  return element;
}

// Returns the place of a weight's number, which is the middle of its line. Where lines cross, the
// numbers stand alternately before and behind the middle.
function locateNumber({ sizes }, layer, to, [start, end]) {
  const share = sizes[layer] === 1 ? 0.5 : 0.37 + 0.26 * (to % 2);
  return start.map((value, axis) => value + share * (end[axis] - value));
}

export class Circles {
  build(view) {
    const { network } = view;
    const isDeep = network.weights.length > 1; // so there are words under its circles
    const rows = Math.max(...network.sizes) + (isDeep ? 0.4 : 0.15);
    this.places = listPlaces(network).map((place) => this.buildPlace(view, ...place));
    this.weights = listWeights(network).map((weight) => this.buildWeight(view, weight));
    const picture = make("div", { class: "picture", style: `height: calc(${rows} * var(--row))` });
    picture.innerHTML = `<svg class="lines" viewBox="0 0 1 ${rows}" preserveAspectRatio="none" aria-hidden="true">
      ${this.weights.map(({ line }) => drawLine(...line)).join("")}</svg>`;
    this.lines = picture.firstChild;
    const heads = network.nouns.map((noun, layer) => {
      const many = network.sizes[layer] > 1 ? `${noun}s` : noun;
      return put(make("span", { class: "head" }, many), [locate(network, layer, 0)[0], 0.12]);
    });
    const items = this.places.flatMap(({ button, under, target }) => [button, under, target || ""]);
    picture.append(...heads, ...items, ...this.weights.map(({ button }) => button));
    return picture;
  }

  buildPlace(view, layer, place) {
    const { network } = view;
    const at = locate(network, layer, place);
    const choose = () => view.choose([layer, place]);
    const button = put(makeButton("", choose, { class: "place" }), at);
    const under = put(make("span", { class: "under" }), locateUnder(network, layer, place));
    const target =
      layer === network.weights.length &&
      put(make("span", { class: "target" }), [at[0] + 0.085, at[1]]);
    return { layer, place, button, under, target };
  }

  buildWeight(view, weight) {
    const { layer, from, to } = weight;
    const line = [locate(view.network, layer - 1, from), locate(view.network, layer, to)];
    const button = makeButton("", () => view.choose(weight), { class: "weight" });
    put(button, locateNumber(view.network, layer, to, line));
    return { ...weight, line, button };
  }

  // Returns what a phase explains when it begins: the chosen weight, the chosen place if the phase
  // computes its number, or else the first score or unit. An update explains the chosen weight, or
  // else all weights.
  findSubject({ network: { weights }, phase, chosen, home }) {
    if (phase === "update") return Array.isArray(chosen) ? home : chosen;
    const layer = phase === "error" ? weights.length : 1;
    if (!Array.isArray(chosen)) return chosen ?? [layer, 0];
    const isSum = chosen[0] > 0 && (phase === "forward" || chosen[0] === layer);
    return isSum ? chosen : [layer, 0];
  }

  show(view) {
    for (const place of this.places) this.showPlace(view, place);
    this.showWeights(view);
  }

  showPlace(view, { layer, place, button, under, target }) {
    const { network, phase, paper } = view;
    const last = network.weights.length;
    const hasSignal = (phase === "error" && layer === last) || (phase === "back" && layer > 0);
    const read = (kind) =>
      paper?.hides(kind, layer, place) ? "?" : format(network[kind][layer][place]);
    const value = read("values");
    const signal = hasSignal && read("signals");
    const isSilent = value !== "?" && isInactive(network, layer, place);
    button.textContent = value;
    button.classList.toggle("inactive", isSilent);
    button.setAttribute("aria-pressed", view.isChosen(layer, place));
    const state = isSilent ? ", inactive" : "";
    const back = hasSignal ? `, error signal ${signal}` : "";
    button.setAttribute("aria-label", `${network.nameOf(layer, place)}: ${value}${state}${back}`);
    under.textContent = hasSignal ? `error signal ${signal}` : isSilent ? "inactive" : "";
    if (target) target.textContent = `target ${format(network.targets[place])}`;
  }

  // Gives each line the colour and width of its weight.
  showWeights(view) {
    const { network, before, chosen } = view;
    const found = this.weights.map(({ layer, from, to }) => findWeight(network, layer, from, to));
    const most = Math.max(...found.map(({ weight }) => Math.abs(weight))) || 1;
    this.weights.forEach(({ layer, from, to, button }, k) => {
      const { weight, at } = found[k];
      const shape = this.lines.children[k];
      const isChosen = chosen?.layer === layer && chosen.from === from && chosen.to === to;
      const text = format(weight);
      shape.setAttribute("class", signOf(weight));
      shape.style.strokeWidth = 1 + (5 * Math.abs(weight)) / most;
      button.textContent = text;
      button.className = `weight ${signOf(weight)}`;
      const old = before?.weights[layer - 1][at] ?? weight;
      button.classList.toggle("moved", old !== weight);
      button.setAttribute("aria-pressed", isChosen);
      const moved = old === weight ? "" : `, moved from ${format(old)}`;
      const names = `${network.nameOf(layer - 1, from)} to ${network.nameOf(layer, to)}`;
      button.setAttribute("aria-label", `weight from ${names}: ${text}${moved}`);
    });
  }
}
