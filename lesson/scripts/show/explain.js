// Explains a place of a network as sums in numbers, and a weight by its curve. Each function
// returns a figure, and the sentences below it.

import { make, makeButton, writeMinus } from "../../../pipeline/reports/scripts/show/dom.js";
import { findLoss, findProducts, findProductsBack, findRest, round } from "../compute/sums.js";
import { drawCurve } from "./curve.js";
import { format, isHidden, isInactive } from "./words.js";

// Returns a row of a table: its head, a calculation if there is one, and its value.
function makeRow(className, head, calculation, value) {
  const cells = [calculation, value].filter(Boolean).map((text) => make("td", {}, text));
  const about = { scope: "row", colspan: 3 - cells.length };
  return make("tr", { class: className }, make("th", about, head), ...cells);
}

// Puts a factor in brackets if it is negative.
const bracket = (text) => (text.startsWith("−") ? `(${text})` : text);

// Returns a table of the terms of a sum and its results. results: the total and what follows from
// it, each as a name and a value. press: called with a term that is pressed.
function makeSum(className, caption, terms, results, press) {
  const [[, total]] = results;
  const rest = findRest(terms, total);
  const body = terms.map((term) => {
    const head = term.factors ? makeButton(term.name, () => press(term)) : term.name;
    const [first, second] = term.factors?.map(format) ?? [];
    const product = term.factors && `${first} × ${bracket(second)}`;
    return makeRow("term", head, product, writeMinus(round(term.product)));
  });
  if (rest) body.push(makeRow("rest", "rounding", "", writeMinus(rest)));
  results.forEach(([result, value], k) => {
    body.push(makeRow(k ? "more" : "total", result, "", writeMinus(round(value))));
  });
  const head = make("caption", {}, caption);
  return make("table", { class: className }, head, make("tbody", {}, ...body));
}

const BACK = "Back: its error signal";

function makeForward(network, layer, place, press) {
  const sum = network.sums[layer][place];
  const terms = findProducts(network, layer, place);
  const reason = sum > 0 ? "above 0, so it stays (ReLU)" : "not above 0, so it becomes 0 (ReLU)";
  const results = isHidden(network, layer)
    ? [
        ["sum", sum],
        [`activation: ${reason}`, Math.max(0, sum)],
      ]
    : [["score", sum]];
  const caption = `Forward: ${network.nameOf(layer, place)}`;
  return makeSum("", caption, terms, results, press);
}

function makeBackOfUnit(network, layer, place, press) {
  const sum = network.back[layer][place];
  const isActive = !isInactive(network, layer, place);
  const slope = isActive ? 1 : network.inactive;
  const reason = `times ${slope}, the slope of the ReLU (${isActive ? "active" : "inactive"})`;
  const results = [
    ["sum", sum],
    [`error signal: ${reason}`, sum * slope],
  ];
  const terms = findProductsBack(network, layer, place);
  return makeSum("from-back", BACK, terms, results, press);
}

function makeBackOfScore(network, layer, place) {
  const target = network.targets[place];
  const terms = [
    { name: "score", product: network.values[layer][place] },
    { name: `minus its target, ${format(target)}`, product: -target },
  ];
  const results = [["error signal", network.signals[layer][place]]];
  return makeSum("from-error", BACK, terms, results);
}

// Explains an input in words, or a unit or a score by two sums. press: called with the weight of a
// product that is pressed.
export function explainPlace(network, layer, place, press) {
  if (layer === 0) {
    return { figure: "", words: ["An input is given: it is not a sum, and no step changes it."] };
  }
  const makeBack = isHidden(network, layer) ? makeBackOfUnit : makeBackOfScore;
  const sums = [makeForward, makeBack].map((makeOne) => makeOne(network, layer, place, press));
  return { figure: make("div", {}, ...sums), words: [] };
}

// Explains a weight by its curve, the loss, its slope and its next step. trail: the weight before
// each earlier step, with its loss.
export function explainWeight(network, found, frame, trail) {
  const { layer, from, to, weight, input, signal, slope } = found;
  const [start, end] = [network.nameOf(layer - 1, from), network.nameOf(layer, to)];
  const numbers = [input, signal, slope, weight, network.rate, weight - network.rate * slope];
  const [factor, other, product, now, rate, next] = numbers.map(format);
  const isScore = network.sizes.length === 2;
  const figure = make("figure");
  figure.innerHTML = drawCurve(network, found, frame, trail);
  const name = isScore ? "The weight" : `Weight from ${start} to ${end}`;
  figure.prepend(make("figcaption", {}, `${name}: ${now}`));
  const why = isScore ? "(score − target)" : `the error signal of ${end}`;
  const sum = `${now} − ${rate} × ${bracket(product)} = ${next}`.replaceAll(" ", "\u00a0"); // in one line
  const step = `The next step goes against the slope: ${sum}.`;
  const words = [
    `Loss ${format(findLoss(network))}. Slope ${product}: ${start} times ${why}, ${factor} × ${bracket(other)}.`,
    isInactive(network, layer, to) && slope
      ? "This is the slip: the unit is inactive, so the true slope is 0."
      : "",
    make("span", { class: "next-step" }, step),
  ];
  return { figure, words };
}
