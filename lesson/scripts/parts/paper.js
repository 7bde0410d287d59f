// Asks for the numbers of a small network before the network shows them. If a number is wrong
// because of a common mistake, the reader is told that mistake.

import {
  bring,
  make,
  makeButton,
  makeNumberField,
} from "../../../pipeline/reports/scripts/show/dom.js";
import { findProducts, findProductsBack, listPlaces } from "../compute/sums.js";
import { hasSignals, isHidden } from "../show/words.js";

const add = (numbers) => numbers.reduce((sum, number) => sum + number, 0);
const SIGNS = "Mind the signs: plus times minus is minus, and minus times minus is plus.";

// Common mistakes: each is a pair of the number that it gives, and what to say about it.
const SLIPS = {
  values(network, layer, place) {
    const { sums } = network;
    const products = findProducts(network, layer, place);
    const fromSums = add(products.map(({ from, weight }) => sums[layer - 1][from] * weight));
    const sum = sums[layer][place];
    const wrongRelu = isHidden(network, layer)
      ? [sum, "That is the sum. It is not above 0, so the ReLU makes it 0."]
      : [Math.max(0, sum), "Only units have a ReLU. A score may be below 0."];
    return [
      wrongRelu,
      [-sum, SIGNS],
      [fromSums, "You have used the sum of an inactive unit. The ReLU makes it 0."],
    ];
  },
  signals(network, layer, place) {
    const { values, back, signals } = network; // back: the sums before the slope of the ReLU
    const answer = signals[layer][place];
    if (!isHidden(network, layer)) {
      return [
        [-answer, "The sign is reversed: an error signal is the score minus the target."],
        [values[layer][place], "That is the score. Subtract the target from it."],
        [answer ** 2, "That is the square. The signal is not squared."],
      ];
    }
    const products = findProductsBack(network, layer, place);
    const withoutSigns = add(products.map(({ signal, weight }) => signal * Math.abs(weight)));
    return [
      [
        back[layer][place],
        "That is right for an active unit. This one is inactive: its slope is 0.",
      ],
      [-answer, SIGNS],
      [withoutSigns, SIGNS],
      ...products.map(({ product }) => [
        product,
        "That is one path only. Add up the paths from all scores.",
      ]),
    ];
  },
};

const NOT_YET = {
  values: "Not yet. Follow each line that ends here, multiply, and add the products.",
  signals:
    "Not yet. Go back along each line from a score: its error signal times the weight. Add these.",
};

// Returns what is wrong with the number of the reader, or "" if the number is right.
export function judge(network, kind, layer, place, number) {
  const isNear = (value) => Math.abs(number - value) < 1e-9;
  if (isNear(network[kind][layer][place])) return "";
  for (const [wrong, explanation] of SLIPS[kind](network, layer, place)) {
    if (isNear(wrong)) return explanation;
  }
  return NOT_YET[kind];
}

export class Paper {
  invitation = "Press a circle, and write the number that belongs there.";

  constructor() {
    this.begin();
  }

  begin() {
    this.found = new Set(); // the numbers that are shown
    this.hidesNumbers = true;
  }

  // Shows everything, as after a step.
  revealAnswers() {
    this.hidesNumbers = false;
  }

  hides(kind, layer, place) {
    return this.hidesNumbers && layer > 0 && !this.found.has(`${kind} ${layer} ${place}`);
  }

  // Returns what the reader is asked about a place: its error signal if the current phase computes
  // it, or else its value.
  findKind(view, layer) {
    return hasSignals(view, layer) ? "signals" : "values";
  }

  // Says what to do after a right number: find the other numbers of this phase, or go to the next
  // phase.
  describeNext({ network, phase, root }) {
    const last = network.weights.length;
    const { kind, layers, next } = {
      forward: { kind: "values", layers: [1, last], next: "Error" },
      error: { kind: "signals", layers: [last], next: "Back" },
      back: { kind: "signals", layers: [1], next: "Update" },
    }[phase];
    const isMissing = ({ layer, place }) =>
      layers.includes(layer) && this.hides(kind, layer, place);
    if (listPlaces(network).some(isMissing)) {
      return "Press the next circle, or this one again for its sum.";
    }
    // The question below the network is about the update.
    const isWaiting = phase === "back" && root.closest(".waiting");
    return `That was the last one. Now ${isWaiting ? "predict below, and then " : ""}press ${next}.`;
  }

  // Returns whether the reader has yet to find the number at the chosen place. The curve of a weight
  // is hidden as long as any numbers are.
  hidesChosen(view) {
    if (!view.hasPlace) return this.hidesNumbers;
    const { layer, place } = view.chosen;
    return this.hides(this.findKind(view, layer), layer, place);
  }

  // Returns the form that asks for the number at the chosen place.
  makeForm(view) {
    if (!view.hasPlace) return make("p", {}, "The curve of a weight opens after Update.");
    const { network, chosen } = view;
    const { layer, place } = chosen;
    const kind = this.findKind(view, layer);
    const nouns = {
      signals: "error signal",
      values: isHidden(network, layer) ? "value" : "number",
    };
    const answer = make("p", { role: "status" });
    const field = makeNumberField();
    const open = () => this.found.add(`${kind} ${layer} ${place}`);
    const show = () => {
      open();
      view.choose(chosen);
    };
    const form = make("form", { class: "ask" });
    form.append(
      answer,
      make("label", {}, `Your ${nouns[kind]} for ${network.nameOf(layer, place)}: `, field),
      make("button", { class: "action" }, "Check"),
      makeButton("Show it", show, { class: "action" }),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const fault = judge(network, kind, layer, place, field.valueAsNumber);
      answer.textContent = fault;
      bring(form);
      if (fault !== "") return;
      open();
      view.say(`Right. ${this.describeNext(view)}`);
    });
    return form;
  }
}
