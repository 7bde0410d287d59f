// Explains a place of a network as sums in numbers, a weight by its parabola, and a step by what it
// has changed. Each function returns a figure, and what is said below it.

import {
  findProducts,
  findProductsBack,
  findWeight,
  listWeights,
  roundTerms,
} from "../compute/sums.js";
import { drawCurve } from "./curve.js";
import { formatFixed, formatShort, make, makeButton } from "./dom.js";
import { isDropped, isHidden, isInactive } from "./words.js";

// A row of a table: its head, a calculation if there is one, and its value.
function makeRow(className, head, calculation, value) {
  const cells = [calculation, value].filter(Boolean).map((text) => make("td", {}, text));
  const about = { scope: "row", colspan: 3 - cells.length };
  return make("tr", { class: className }, make("th", about, head), ...cells);
}

const makeTable = (caption, rows, className = "") =>
  make("table", { class: className }, make("caption", {}, caption), make("tbody", {}, ...rows));

// Puts a negative number in brackets, to be multiplied by.
const bracket = (text) => (text.startsWith("-") ? `(${text})` : text);

// A table of a sum. results: the total and what follows from it, each as a name and a value.
function makeSum(network, className, caption, terms, results, press) {
  const format = (value) => formatFixed(network, value);
  const [[, total]] = results;
  const { rows, others, rest } = roundTerms(terms, total, network.digits, network.most);
  const body = rows.map((term) => {
    const head = term.factors ? makeButton(term.name, () => press(term)) : term.name;
    const [first, second] = term.factors?.map(format) ?? [];
    const product = term.factors && `${first} × ${bracket(second)}`;
    return makeRow("term", head, product, format(term.product));
  });
  if (others || rest) {
    body.push(makeRow("rest", others ? `the other ${others}` : "rounding", "", format(rest)));
  }
  results.forEach(([result, value], k) => {
    body.push(makeRow(k ? "more" : "total", result, "", format(value)));
  });
  return makeTable(caption, body, className);
}

const BACK = "Back: its error signal";

// What a hidden unit makes of a sum: by the ReLU or its slope, then by the mask.
function listResults({ mask, hasMask }, place, sum, after, reason, name) {
  const results = [["sum", sum]];
  results.push([hasMask ? reason : `${name}: ${reason}`, after]);
  const last = `${name}: times ${formatShort(mask[place])}, the dropout mask`;
  if (hasMask) results.push([last, after * mask[place]]);
  return results;
}

function makeForward(network, layer, place, press) {
  const sum = network.sums[layer][place];
  const terms = findProducts(network, layer, place);
  const reason = `${sum > 0 ? "above 0, so it stays" : "not above 0, so it becomes 0"} (ReLU)`;
  const results = isHidden(network, layer)
    ? listResults(network, place, sum, Math.max(0, sum), reason, "activation")
    : [["score", sum]];
  const caption = `Forward: ${network.nameOf(layer, place)}`;
  return makeSum(network, "", caption, terms, results, press);
}

function makeBackOfUnit(network, layer, place, press) {
  const sum = network.back[layer][place];
  const isActive = !isInactive(network, layer, place);
  const slope = isActive ? 1 : network.inactive;
  const reason = `times ${slope}, the slope of the ReLU (${isActive ? "active" : "inactive"})`;
  const terms = findProductsBack(network, layer, place);
  const results = listResults(network, place, sum, sum * slope, reason, "error signal");
  return makeSum(network, "from-back", BACK, terms, results, press);
}

function makeBackOfScore(network, layer, place) {
  const target = network.targets[place];
  const terms = [
    { name: "score", product: network.values[layer][place] },
    { name: `minus its target, ${formatShort(target)}`, product: -target },
  ];
  const results = [["error signal", network.signals[layer][place]]];
  return makeSum(network, "from-error", BACK, terms, results);
}

// Why a hidden unit has its error signal.
function explainSignal(network, layer, place) {
  if (isDropped(network, layer, place)) {
    return "Dropout leaves this unit out, so nothing flows through it.";
  }
  if (!isInactive(network, layer, place)) {
    return "The unit is active, so its error signal flows on.";
  }
  const end = network.inactive
    ? "But the original's slip takes 1, so the unit has an error signal all the same."
    : "So its error signal is 0, and this step leaves its weights alone.";
  return `The unit is inactive: its sum is not above 0. Below 0 a small change of the sum changes
    nothing behind it, so the true slope of the ReLU is 0. ${end}`;
}

// An input, or a unit or a score as two sums. awaitsPrediction: whether what an update does is not said yet.
// press: called with the weight of a product.
export function explainPlace(network, layer, place, awaitsPrediction, press) {
  if (layer === 0) {
    const text = "An input is given: it is no sum, and the step does not change it.";
    return { figure: "", words: [make("p", {}, text)] };
  }
  const makeBack = isHidden(network, layer) ? makeBackOfUnit : makeBackOfScore;
  const sums = [makeForward, makeBack].map((makeOne) => makeOne(network, layer, place, press));
  const hasText = isHidden(network, layer) && !awaitsPrediction;
  const text = hasText ? explainSignal(network, layer, place) : "";
  const why = make("p", { class: "from-back" }, text);
  return { figure: make("div", {}, ...sums), words: [why] };
}

// A weight: its parabola, the slope there, and unless that is waiting the next step. trail: where it
// was before.
export function explainWeight(network, found, frame, trail, awaitsPrediction) {
  const { layer, from, to, weight, input, signal, slope } = found;
  const drawn = drawCurve(network, found, frame, trail, !awaitsPrediction);
  const [start, end] = [network.nameOf(layer - 1, from), network.nameOf(layer, to)];
  const numbers = [input, signal, slope, weight, network.rate, weight - network.rate * slope];
  const [factor, other, product, now, rate, next] = numbers.map(formatShort);
  const texts = [
    `The slope is ${start} times the error signal of ${end}: ${factor} × ${bracket(other)} = ${product}.`,
    isInactive(network, layer, to) && slope
      ? "This is the slip: the unit is inactive, so the true slope is 0."
      : "",
    awaitsPrediction
      ? ""
      : `The next step goes against the slope, by the learning rate: ${now} - ${rate} × ${bracket(product)} = ${next}.`,
    `Across is this weight, and up is the loss, half of the squared error signals. It is ${formatShort(drawn.loss)} now.`,
    trail.length ? "The pale dots are where it was before." : "",
    drawn.stretch > 1 && !awaitsPrediction
      ? `The arrow is drawn ${drawn.stretch} times as long.`
      : "",
  ];
  const figure = make("figure");
  figure.innerHTML = drawn.picture;
  figure.prepend(make("figcaption", {}, `The weight from ${start} to ${end}: ${now}`));
  return { figure, words: texts.filter(Boolean).map((text) => make("p", {}, text)) };
}

// A table of what a step has changed. network: as it was before. press: called with the weight of a
// row.
export function explainStep(network, press) {
  const rate = formatShort(network.rate);
  const rows = listWeights(network).map(({ layer, from, to }) => {
    const { weight, slope } = findWeight(network, layer, from, to);
    const names = `${network.nameOf(layer - 1, from)} to ${network.nameOf(layer, to)}`;
    const text = `${formatFixed(network, weight)} - ${rate} × ${bracket(formatFixed(network, slope))}`;
    const head = makeButton(names, () => press({ layer, from, to }));
    return makeRow("term", head, text, formatFixed(network, weight - network.rate * slope));
  });
  const table = makeTable("Each weight minus the learning rate times its slope", rows);
  return { figure: table, words: [] };
}
