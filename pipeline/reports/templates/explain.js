// Explains a unit or a score as sums in numbers, and a weight by its parabola.
import { findCurve, findProducts, findProductsBack, findWeight, roundTerms } from "./sums.js";

const WIDTH = 400; // of a parabola's picture
const HEIGHT = 200;
const SVG = "http://www.w3.org/2000/svg";

function fillElement(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const make = (tag, attributes = {}, ...children) =>
  fillElement(document.createElement(tag), attributes, children);

export const makeShape = (tag, attributes = {}, ...children) =>
  fillElement(document.createElementNS(SVG, tag), attributes, children);

export function makeButton(text, act, attributes = {}) {
  const button = make("button", { type: "button", ...attributes }, text);
  button.addEventListener("click", act);
  return button;
}

// A number with as many digits behind the point as the network shows.
export function formatFixed({ digits, isTrimmed }, value) {
  const text = value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1");
  return isTrimmed && text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

// A number with four digits that count.
export const formatShort = (value) => String(Number(value.toPrecision(4)));

// A row of a table: its head, a calculation if there is one, and the value of that.
export function makeRow(name, head, calculation, value) {
  const span = calculation ? 1 : 2;
  const cells = [make("th", { scope: "row", colspan: span }, head), make("td", {}, value)];
  if (calculation) cells.splice(1, 0, make("td", {}, calculation));
  return make("tr", { class: name }, ...cells);
}

export const makeTable = (caption, rows) =>
  make("table", {}, make("caption", {}, caption), make("tbody", {}, ...rows));

// A table of a sum: its terms, the total, and what follows from it, each as a name and a value.
function makeSum(network, caption, terms, results, press) {
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
  results.forEach(([name, value], k) => {
    body.push(makeRow(k ? "more" : "total", name, "", format(value)));
  });
  return makeTable(caption, body);
}

const isHidden = ({ weights }, layer) => layer < weights.length;

// What a hidden unit makes of a sum: by the ReLU or its slope, then by the dropout mask.
function listResults({ mask, hasMask }, place, sum, after, reason, name) {
  if (!hasMask)
    return [
      ["sum", sum],
      [`${name}: ${reason}`, after],
    ];
  const last = `${name}: times ${formatShort(mask[place])}, the dropout mask`;
  return [
    ["sum", sum],
    [reason, after],
    [last, after * mask[place]],
  ];
}

function makeForward(network, layer, place, press) {
  const sum = network.sums[layer][place];
  const terms = findProducts(network, layer, place);
  const reason = `${sum > 0 ? "above 0, so it stays" : "not above 0, so it becomes 0"} (ReLU)`;
  const results = isHidden(network, layer)
    ? listResults(network, place, sum, Math.max(0, sum), reason, "activation")
    : [["score", sum]];
  return makeSum(network, `Forward: ${network.nameOf(layer, place)}`, terms, results, press);
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
  return makeSum(network, "Back: its error signal", terms, results, press);
}

// Why a hidden unit has the error signal that it has, in words.
function explainSignal({ sums, mask, inactive }, layer, place) {
  if (mask[place] === 0) {
    return "Dropout leaves this unit out of this step, so nothing flows through it, forward or back.";
  }
  if (sums[layer][place] > 0) return "The unit is active, so its error signal flows on.";
  const flat =
    "The unit is inactive, since its sum is not above 0. " +
    "A small change of the sum changes nothing behind it, so the true slope is 0. ";
  return inactive
    ? `${flat}But the original's slip takes 1, so the unit has an error signal all the same.`
    : `${flat}So its error signal is 0, and this step leaves its weights alone.`;
}

// Shows a unit or a score in `root` as two sums. press: called with the weight of a product.
export function explainPlace(root, network, layer, place, press) {
  const sums = [makeForward, makeBack].map((makeOne) => makeOne(network, layer, place, press));
  const text = isHidden(network, layer) ? explainSignal(network, layer, place) : "";
  root.replaceChildren(make("div", { class: "sums" }, ...sums), make("p", {}, text));
}

// How many times too long the arrow of the next step is drawn, so that it is seen.
function findStretch(length) {
  let stretch = 1;
  while (length > 0 && length * stretch < 18 && stretch < 1e6) stretch *= 10;
  return stretch;
}

function drawArrow(x, y, length) {
  const end = x + length;
  const neck = end - 8 * Math.sign(length);
  return [
    makeShape("line", { class: "arrow", x1: x, y1: y, x2: neck, y2: y }),
    makeShape("polygon", { points: `${end},${y} ${neck},${y - 5} ${neck},${y + 5}` }),
  ];
}

const drawText = (x, anchor, value) =>
  makeShape("text", { x, y: HEIGHT - 4, "text-anchor": anchor }, formatShort(value));

// Draws the loss over a weight, from low to high, with the weight and its next step.
function drawCurve(network, weight, [low, high]) {
  const places = Array.from({ length: 121 }, (_, k) => low + ((high - low) * k) / 120);
  const curve = findCurve(network, weight, [...places, weight.weight]);
  const losses = curve.map(([, loss]) => loss);
  const least = Math.min(...losses);
  const range = Math.max(...losses) - least || 1;
  const points = curve.map(([place, loss]) => [
    10 + ((place - low) / (high - low)) * (WIDTH - 20),
    HEIGHT - 30 - ((loss - least) / range) * (HEIGHT - 60),
  ]);
  const [x, y] = points.pop();
  const base = HEIGHT - 20;
  const step = (-network.rate * weight.slope * (WIDTH - 20)) / (high - low);
  const stretch = findStretch(Math.abs(step));
  const label = "The loss over this weight, while all other weights stay";
  const about = { class: "curve", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" };
  const picture = makeShape(
    "svg",
    { ...about, "aria-label": label },
    makeShape("line", { x1: 0, x2: WIDTH, y1: base, y2: base }),
    makeShape("polyline", { points: points.join(" ") }),
    makeShape("line", { x1: x, x2: x, y1: y, y2: base, "stroke-dasharray": 3 }),
    makeShape("circle", { cx: x, cy: y, r: 7 }),
    ...(step ? drawArrow(x, y - 14, step * stretch) : []),
    drawText(4, "start", low),
    drawText(x, "middle", weight.weight),
    drawText(WIDTH - 4, "end", high),
  );
  return { picture, stretch, loss: losses.at(-1) };
}

// Shows a weight in `root`: its parabola, the slope there, and the next step. reach: the part of
// the parabola that is shown.
export function explainWeight(root, network, { layer, from, to }, reach) {
  const weight = findWeight(network, layer, from, to);
  const { picture, stretch, loss } = drawCurve(network, weight, reach);
  const [now, input, signal, slope, rate, next] = [
    weight.weight,
    weight.input,
    weight.signal,
    weight.slope,
    network.rate,
    weight.weight - network.rate * weight.slope,
  ].map(formatShort);
  const [start, end] = [network.nameOf(layer - 1, from), network.nameOf(layer, to)];
  const isFlat = isHidden(network, layer) && !(network.sums[layer][to] > 0) && weight.slope;
  const texts = [
    `Across is this weight, and up is the loss, half of the error. It is ${formatShort(loss)} now.`,
    `The slope is ${start} times the error signal of ${end}: ${input} × ${signal} = ${slope}.`,
    isFlat ? "This is the slip: since the unit is inactive, the curve is flat here." : "",
    `The next step goes against the slope, by the learning rate: ${now} - ${rate} × ${slope} = ${next}.`,
    stretch > 1 ? `The arrow is drawn ${stretch.toLocaleString("en")} times as long.` : "",
  ];
  const caption = make("figcaption", {}, `The weight from ${start} to ${end}: ${now}`);
  const words = make("div", {}, ...texts.filter(Boolean).map((text) => make("p", {}, text)));
  root.replaceChildren(make("div", { class: "sums" }, make("figure", {}, caption, picture), words));
}
