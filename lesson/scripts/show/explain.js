// Explains a place of a network as sums in numbers, and a weight by its curve. Each function
// returns a figure, and the sentences below it.

import { make, makeButton, writeMinus } from "../../../pipeline/reports/scripts/show/dom.js";
import { findLoss, findProducts, findProductsBack, findRest, round } from "../compute/sums.js";
import { drawCurve } from "./curve.js";
import { format, formatNear, isHidden, isInactive } from "./words.js";

// Returns a row of a table: its head, a calculation if there is one, and its value.
function makeRow(className, head, calculation, value) {
  const cells = [calculation, value].filter(Boolean).map((text) => make("td", {}, text));
  const about = { scope: "row", colspan: 3 - cells.length };
  return make("tr", { class: className }, make("th", about, head), ...cells);
}

// Puts a factor in brackets if it is negative.
const bracket = (text) => (text.startsWith("−") ? `(${text})` : text);

const writeRounded = (value) => writeMinus(round(value));

// Returns the row of a term. A product is a button, which calls `press` with the term.
function makeTermRow(term, press) {
  const value = writeRounded(term.product);
  if (!("factor" in term)) return makeRow("term", term.name, "", value);
  const head = makeButton(term.name, () => press(term));
  const calculation = `${format(term.factor)} × ${bracket(format(term.weight))}`;
  return makeRow("term", head, calculation, value);
}

// Returns a table of the terms of a sum, its total, and perhaps a result that follows from the total.
// total, result: each has a name and a value. press: called with a product that is pressed.
function makeSum(className, caption, { terms, total, result }, press) {
  const body = terms.map((term) => makeTermRow(term, press));
  const rest = findRest(terms, total.value);
  if (rest !== 0) body.push(makeRow("rest", "rounding", "", writeMinus(rest)));
  body.push(makeRow("total", total.name, "", writeRounded(total.value)));
  if (result) body.push(makeRow("more", result.name, "", writeRounded(result.value)));
  const head = make("caption", {}, caption);
  return make("table", { class: className }, head, make("tbody", {}, ...body));
}

const BACK = "Back: its error signal";

function makeForward(network, layer, place, press) {
  const sum = network.sums[layer][place];
  const terms = findProducts(network, layer, place);
  const caption = `Forward: ${network.nameOf(layer, place)}`;
  const isUnit = isHidden(network, layer);
  const total = { name: isUnit ? "sum" : "score", value: sum };
  const reason = sum > 0 ? "above 0, so it stays (ReLU)" : "not above 0, so it becomes 0 (ReLU)";
  const activation = { name: `activation: ${reason}`, value: Math.max(0, sum) };
  return makeSum("", caption, { terms, total, result: isUnit ? activation : null }, press);
}

function makeBackOfUnit(network, layer, place, press) {
  const sum = network.back[layer][place];
  const terms = findProductsBack(network, layer, place);
  const total = { name: "sum", value: sum };
  const state = isInactive(network, layer, place) ? "inactive" : "active";
  const slope = state === "active" ? 1 : network.inactiveSlope;
  const reason = `times ${slope}, the slope of the ReLU (${state})`;
  const result = { name: `error signal: ${reason}`, value: sum * slope };
  return makeSum("from-back", BACK, { terms, total, result }, press);
}

function makeBackOfScore(network, layer, place) {
  const target = network.targets[place];
  const terms = [
    { name: "score", product: network.values[layer][place] },
    { name: `minus its target, ${format(target)}`, product: -target },
  ];
  const total = { name: "error signal", value: network.signals[layer][place] };
  return makeSum("from-error", BACK, { terms, total });
}

// Explains an input in words, or a unit or a score by two sums. press: called with the weight of a
// product that is pressed.
export function explainPlace(network, { layer, place }, press) {
  if (layer === 0) {
    return { figure: "", words: ["An input is given: it is not a sum, and no step changes it."] };
  }
  const makeBack = isHidden(network, layer) ? makeBackOfUnit : makeBackOfScore;
  const forward = makeForward(network, layer, place, press);
  const back = makeBack(network, layer, place, press);
  return { figure: make("div", {}, forward, back), words: [] };
}

// Explains a weight by its curve, the loss, its slope and its next step. trail: the weight before
// each earlier step, with its loss.
export function explainWeight(network, found, frame, trail) {
  const { layer, from, to, weight, slope } = found;
  const start = network.nameOf(layer - 1, from);
  const end = network.nameOf(layer, to);
  const isAlone = network.sizes.length === 2; // between an input and a score, without units
  const name = isAlone ? "The weight" : `Weight from ${start} to ${end}`;
  const figure = make("figure");
  figure.innerHTML = drawCurve(network, found, frame, trail);
  figure.prepend(make("figcaption", {}, `${name}: ${format(weight)}`));

  const signalName = isAlone ? "(score − target)" : `the error signal of ${end}`;
  const product = `${format(found.input)} × ${bracket(format(found.signal))}`;
  const loss = `Loss ${formatNear(findLoss(network))}.`;
  const words = [`${loss} Slope ${formatNear(slope)}: ${start} times ${signalName}, ${product}.`];
  if (isInactive(network, layer, to) && slope !== 0) {
    words.push("This is the slip: the unit is inactive, so the true slope is 0.");
  }

  const move = `${format(network.rate)} × ${bracket(format(slope))}`;
  const next = format(weight - network.rate * slope);
  const sum = `${format(weight)} − ${move} = ${next}`.replaceAll(" ", "\u00a0"); // in one line
  const step = `The next step goes against the slope: ${sum}.`;
  words.push(make("span", { class: "next-step" }, step));
  return { figure, words };
}
