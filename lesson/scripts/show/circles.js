// Draws a small network: numbers as circles, and weights as lines with numbers.

import { make, makeButton } from "../../../pipeline/reports/scripts/show/dom.js";
import { findWeight, listPlaces, listWeights } from "../compute/sums.js";
import { format, hasSignals, isInactive, signOf } from "./words.js";

// A place in the picture: across as a share of its width, and down in rows.
const TOP = 0.75; // the centre of a circle in the first row
const FIRST = 0.1; // across, of the first layer
const SPAN = 0.66; // from the first layer to the last one

const drawLine = (start, end) =>
  `<line x1="${start.across}" y1="${start.down}" x2="${end.across}" y2="${end.down}"/>`;

// Returns where a circle has its centre. A layer with fewer circles than the largest one stands in
// the middle.
function locate({ sizes }, layer, place) {
  const rowsAbove = (Math.max(...sizes) - sizes[layer]) / 2;
  return {
    across: FIRST + (SPAN * layer) / (sizes.length - 1),
    down: TOP + rowsAbove + place,
  };
}

// Puts an element's centre at a place of the picture.
function put(element, across, down) {
  element.style.left = `${100 * across}%`;
  element.style.top = `calc(${down} * var(--row))`;
  return element;
}

// Returns how far along its line the number of a weight stands: in the middle, or alternately before
// and behind it where lines cross.
function findShare({ sizes }, { layer, to }) {
  if (sizes[layer] === 1) return 0.5;
  return to % 2 === 0 ? 0.37 : 0.37 + 0.26;
}

export class Circles {
  build(view) {
    const { network } = view;
    const isDeep = network.weights.length > 1; // so there are words under its circles
    const rows = Math.max(...network.sizes) + (isDeep ? 0.4 : 0.15);
    this.places = listPlaces(network).map((place) => this.buildPlace(view, place));
    this.weights = listWeights(network).map((weight) => this.buildWeight(view, weight));
    const picture = make("div", { class: "picture", style: `height: calc(${rows} * var(--row))` });
    picture.innerHTML = `<svg class="lines" viewBox="0 0 1 ${rows}" preserveAspectRatio="none" aria-hidden="true">
      ${this.weights.map(({ start, end }) => drawLine(start, end)).join("")}</svg>`;
    this.lines = picture.firstChild;
    const heads = network.nouns.map((noun, layer) => {
      const text = network.sizes[layer] > 1 ? `${noun}s` : noun;
      return put(make("span", { class: "head" }, text), locate(network, layer, 0).across, 0.12);
    });
    picture.append(...heads, ...[...this.places, ...this.weights].flatMap(({ items }) => items));
    return picture;
  }

  buildPlace(view, { layer, place }) {
    const { network } = view;
    const { across, down } = locate(network, layer, place);
    const choose = () => view.choose({ layer, place });
    const button = put(makeButton("", choose, { class: "place" }), across, down);
    const under = put(make("span", { class: "under" }), across, down + 0.49);
    const items = [button, under];
    if (layer === network.weights.length) {
      const text = `target ${format(network.targets[place])}`;
      items.push(put(make("span", { class: "target" }, text), across + 0.085, down));
    }
    return { layer, place, button, under, items };
  }

  buildWeight(view, weight) {
    const { network } = view;
    const { layer, from, to } = weight;
    const start = locate(network, layer - 1, from);
    const end = locate(network, layer, to);
    const button = makeButton("", () => view.choose(weight), { class: "weight" });
    const share = findShare(network, weight);
    const across = start.across + share * (end.across - start.across);
    const down = start.down + share * (end.down - start.down);
    return { ...weight, start, end, button, items: [put(button, across, down)] };
  }

  // Returns what a phase explains when it begins: the chosen weight, the chosen place if the phase
  // computes its number, or else the first score or unit. An update explains the chosen weight, or
  // else all weights.
  findSubject({ network, phase, chosen, hasPlace, home }) {
    if (phase === "update") return hasPlace ? home : chosen;
    const first = { layer: phase === "error" ? network.weights.length : 1, place: 0 };
    if (!hasPlace) return chosen ?? first;
    const computesChosen = phase === "forward" ? chosen.layer > 0 : chosen.layer === first.layer;
    return computesChosen ? chosen : first;
  }

  show(view) {
    for (const place of this.places) this.showPlace(view, place);
    this.showWeights(view);
  }

  showPlace(view, { layer, place, button, under }) {
    const { network, paper } = view;
    const read = (kind) =>
      paper?.hides(kind, layer, place) ? "?" : format(network[kind][layer][place]);
    const value = read("values");
    const state = value !== "?" && isInactive(network, layer, place) ? "inactive" : "";
    const signal = hasSignals(view, layer) ? `error signal ${read("signals")}` : "";
    button.textContent = value;
    button.classList.toggle("inactive", state !== "");
    button.setAttribute("aria-pressed", view.isChosen({ layer, place }));
    const words = [value, state, signal].filter(Boolean).join(", ");
    button.setAttribute("aria-label", `${network.nameOf(layer, place)}: ${words}`);
    under.textContent = signal === "" ? state : signal;
  }

  showWeights(view) {
    const { network } = view;
    const sizes = network.weights.flatMap((matrix) => Array.from(matrix, Math.abs));
    const most = Math.max(...sizes);
    const largest = most > 0 ? most : 1; // any number will do if all weights are 0
    this.weights.forEach((weight, k) => {
      this.showWeight(view, weight, this.lines.children[k], largest);
    });
  }

  // Gives the line of a weight its colour and its width, and writes the weight's number. largest:
  // the size of the largest weight.
  showWeight(view, { layer, from, to, button }, shape, largest) {
    const { network, before } = view;
    const { weight, at } = findWeight(network, layer, from, to);
    const text = format(weight);
    const sign = signOf(weight);
    shape.setAttribute("class", sign);
    shape.style.strokeWidth = 1 + (5 * Math.abs(weight)) / largest;
    const old = before ? before.weights[layer - 1][at] : weight;
    const hasMoved = old !== weight;
    button.textContent = text;
    button.className = `weight ${sign}`;
    button.classList.toggle("moved", hasMoved);
    button.setAttribute("aria-pressed", view.isChosen({ layer, from, to }));
    const move = hasMoved ? `, moved from ${format(old)}` : "";
    const names = `${network.nameOf(layer - 1, from)} to ${network.nameOf(layer, to)}`;
    button.setAttribute("aria-label", `weight from ${names}: ${text}${move}`);
  }
}
