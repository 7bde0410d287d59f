// Explains a unit or a score as sums in numbers, and a weight by its parabola.
import { formatFixed, formatShort, make, makeButton } from "./dom.js";
import {
  findCurve,
  findProducts,
  findProductsBack,
  findReach,
  findWeight,
  roundTerms,
} from "./sums.js";

// Places in a parabola's picture.
const LEFT = -70;
export const RIGHT = 400;
const BASE = 180; // of the axis
const TOP = 30; // of the highest loss
const BOTTOM = 170; // of the least

// A row of a table: its head, a calculation if there is one, and its value.
export function makeRow(name, head, calculation, value) {
  const cells = [calculation, value].filter(Boolean).map((text) => make("td", {}, text));
  const about = { scope: "row", colspan: 3 - cells.length };
  return make("tr", { class: name }, make("th", about, head), ...cells);
}

export const makeTable = (caption, rows, name = "") =>
  make("table", { class: name }, make("caption", {}, caption), make("tbody", {}, ...rows));

// A table of a sum. name: its class. results: the total and what follows from it, each as a name and a value.
function makeSum(network, name, caption, terms, results, press) {
  const format = (value) => formatFixed(network, value);
  const [[, total]] = results;
  const { rows, others, rest } = roundTerms(terms, total, network.digits, network.most);
  const body = rows.map((term) => {
    const head = term.factors ? makeButton(term.name, () => press(term)) : term.name;
    return makeRow("term", head, term.factors?.map(format).join(" × "), format(term.product));
  });
  if (others || rest) {
    body.push(makeRow("rest", others ? `the other ${others}` : "rounding", "", format(rest)));
  }
  results.forEach(([result, value], k) => {
    body.push(makeRow(k ? "more" : "total", result, "", format(value)));
  });
  return makeTable(caption, body, name);
}

const isHidden = ({ weights }, layer) => layer < weights.length;

// The class of what is shown from a stop on: the one at which a layer gets its error signals.
const findStop = (network, layer) => (isHidden(network, layer) ? "from-back" : "from-error");

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
  return makeSum(network, "from-forward", caption, terms, results, press);
}

function makeBack(network, layer, place, press) {
  const sum = network.back[layer][place];
  const score = { name: "score", product: network.values[layer][place] };
  const target = { name: "minus its target", product: -network.targets[place] };
  const isActive = network.sums[layer][place] > 0;
  const slope = isActive ? 1 : network.inactive;
  const reason = `times ${slope}, the slope of the ReLU (${isActive ? "active" : "inactive"})`;
  const [terms, results] = isHidden(network, layer)
    ? [
        findProductsBack(network, layer, place),
        listResults(network, place, sum, sum * slope, reason, "error signal"),
      ]
    : [[score, target], [["error signal", sum]]];
  const caption = "Back: its error signal";
  return makeSum(network, findStop(network, layer), caption, terms, results, press);
}

// Why a hidden unit has its error signal.
function explainSignal({ sums, mask, inactive }, layer, place) {
  if (mask[place] === 0) {
    return "Dropout leaves this unit out, so nothing flows through it.";
  }
  if (sums[layer][place] > 0) return "The unit is active, so its error signal flows on.";
  const end = inactive
    ? "But the original's slip takes 1, so the unit has an error signal all the same."
    : "So its error signal is 0, and this step leaves its weights alone.";
  return `The unit is inactive: its sum is not above 0. Below 0 a small change of the sum changes
    nothing behind it, so the true slope of the ReLU is 0. ${end}`;
}

// Shows a unit or a score as two sums. press: called with the weight of a product.
export function explainPlace(root, network, layer, place, press) {
  const sums = [makeForward, makeBack].map((makeOne) => makeOne(network, layer, place, press));
  const text = isHidden(network, layer) ? explainSignal(network, layer, place) : "";
  const why = make("p", { class: findStop(network, layer) }, text);
  root.replaceChildren(make("div", { class: "sums" }, ...sums), why);
}

// Scrolls to an explanation, unless its beginning is on the screen.
export function reveal(element) {
  if (element.getBoundingClientRect().top < innerHeight - 120) return;
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block: "nearest", behavior: isStill ? "auto" : "smooth" });
}

function drawArrow(x, y, length) {
  const end = x + length;
  const neck = end - 8 * Math.sign(length);
  return `<line class="arrow" x1="${x}" y1="${y}" x2="${neck}" y2="${y}"/>
    <polygon points="${end},${y} ${neck},${y - 5} ${neck},${y + 5}"/>`;
}

const drawText = (x, y, anchor, text) =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;

// Names the highest and the least loss at the left, with digits in which they differ.
function drawScale(least, range) {
  const digits = Math.max(0, Math.min(12, 2 - Math.floor(Math.log10(range))));
  const ends = [
    [TOP, least + range],
    [BOTTOM, least],
  ];
  const ticks = ends.map(
    ([y, loss]) => `<line class="tick" x1="0" x2="${RIGHT}" y1="${y}" y2="${y}"/>
      <text class="scale" x="-6" y="${y + 4}" text-anchor="end">${loss.toFixed(digits)}</text>`,
  );
  return ticks.join("") + drawText(-6, TOP - 16, "end", "loss");
}

// Draws the loss over a weight, from low to high, and its next step.
function drawCurve(network, weight, [low, high]) {
  const places = Array.from({ length: 121 }, (_, k) => low + ((high - low) * k) / 120);
  const curve = findCurve(network, weight, [...places, weight.weight]);
  const losses = curve.map(([, loss]) => loss);
  const least = Math.min(...losses);
  const range = Math.max(...losses) - least || 1;
  const points = curve.map(([place, loss]) => [
    10 + ((place - low) / (high - low)) * (RIGHT - 20),
    BOTTOM - ((loss - least) / range) * (BOTTOM - TOP),
  ]);
  const [x, y] = points.pop();
  const step = (-network.rate * weight.slope * (RIGHT - 20)) / (high - low);
  // How many times too long the arrow is drawn, so that it is seen.
  const stretch = step ? 10 ** Math.max(0, Math.ceil(Math.log10(18 / Math.abs(step)))) : 1;
  const [start, now, end] = [low, weight.weight, high].map(formatShort);
  const picture = `<svg class="curve" viewBox="${LEFT} 0 ${RIGHT - LEFT} 200" role="img"
    aria-label="The loss over this weight, while the others stay">
    <line x2="${RIGHT}" y1="${BASE}" y2="${BASE}"/>
    ${drawScale(least, range)}
    <polyline points="${points.join(" ")}"/>
    <line x1="${x}" x2="${x}" y1="${y}" y2="${BASE}" stroke-dasharray="3"/>
    <circle cx="${x}" cy="${y}" r="7"/>
    ${step ? drawArrow(x, y - 14, step * stretch) : ""}
    ${drawText(4, BASE + 16, "start", start)}
    ${drawText(x, BASE + 16, "middle", now)}
    ${drawText(RIGHT - 4, BASE + 16, "end", end)}
    </svg>`;
  return { picture, stretch, loss: losses.at(-1) };
}

// Puts a negative number in brackets, to be multiplied by.
export const bracket = (text) => (text.startsWith("-") ? `(${text})` : text);

// Shows a weight: its parabola, the slope there, the next step. reach: of the parabola.
export function explainWeight(root, network, { layer, from, to }, reach) {
  const found = findWeight(network, layer, from, to);
  const { weight, input, signal, slope } = found;
  const { picture, stretch, loss } = drawCurve(network, found, reach ?? findReach(network, found));
  const [start, end] = [network.nameOf(layer - 1, from), network.nameOf(layer, to)];
  const isSlip = isHidden(network, layer) && !(network.sums[layer][to] > 0) && slope;
  const numbers = [input, signal, slope, weight, network.rate, weight - network.rate * slope];
  const [factor, other, product, now, rate, next] = numbers.map(formatShort);
  const texts = [
    `Across is this weight, and up is the loss, half of the squared error signals. It is ${formatShort(loss)} now.`,
    `The slope is ${start} times the error signal of ${end}: ${factor} × ${bracket(other)} = ${product}.`,
    isSlip ? "This is the slip: the unit is inactive, so the true slope is 0." : "",
    `The next step goes against the slope, by the learning rate: ${now} - ${rate} × ${bracket(product)} = ${next}.`,
    stretch > 1 ? `The arrow is drawn ${stretch} times as long.` : "",
  ];
  const figure = make("figure");
  figure.innerHTML = picture;
  figure.prepend(make("figcaption", {}, `The weight from ${start} to ${end}: ${now}`));
  const words = make("div", {}, ...texts.filter(Boolean).map((text) => make("p", {}, text)));
  root.replaceChildren(make("div", { class: "sums" }, figure, words));
}
