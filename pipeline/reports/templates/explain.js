// Explains a unit or a score as sums in numbers, and a weight by its parabola.
import { formatFixed, formatShort, make, makeButton } from "./dom.js";
import { findProducts, findProductsBack, roundTerms } from "./sums.js";

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
