// Draws a small network as circles, from its state. The state has the fields of SmallNetwork.
import { makeButton, makeSwitch } from "../../../pipeline/reports/scripts/show/dom.js";
import { PHASES } from "../show/words.js";
import { NetworkView } from "./network_view.js";
import { Paper } from "./paper.js";

// Returns the network of a state, in the form that sums.js describes.
function readState({ weights, inputs, targets, learning_rate }) {
  const sizes = [inputs.length, ...weights.map((matrix) => matrix[0].length)];
  const nouns = sizes.length === 2 ? ["input", "score"] : ["input", "unit", "score"];
  const nameOf = (layer, place) =>
    sizes[layer] === 1 ? `the ${nouns[layer]}` : `${nouns[layer]} ${place + 1}`;
  return {
    sizes,
    nouns,
    nameOf,
    weights: weights.map((matrix) => Float64Array.from(matrix.flat())),
    inputs: Float64Array.from(inputs),
    targets: Float64Array.from(targets),
    inactiveSlope: 0,
    rate: learning_rate,
  };
}

// A network without hidden units is small enough for one button.
function findPhases({ weights, without_buttons }) {
  if (without_buttons) return [];
  return weights.length === 1 ? ["update"] : PHASES;
}

// Draws a network in `root`. A network with switches has one unit, which is inactive at first. One
// switch flips the signs of all weights. The other turns on the slip, and works only while the unit
// is inactive.
export function draw(root, state) {
  const paper = state.on_paper ? new Paper() : null;
  const view = new NetworkView(root, { phases: findPhases(state), paper });
  const first = readState(state);
  const findSlope = () => (slip.checked ? 1 : 0); // of the ReLU for inactive units
  // Returns the first network, as the switches change it.
  const read = () => {
    const sign = inactiveUnit.checked ? 1 : -1;
    const weights = first.weights.map((matrix) => matrix.map((weight) => sign * weight));
    return { ...first, weights, inactiveSlope: findSlope() };
  };
  const restart = () => {
    paper?.begin();
    view.restart(read());
  };
  const [slip, slipLabel] = makeSwitch(["the slip"], () => {
    view.network.inactiveSlope = findSlope();
    view.renew();
  });
  const [inactiveUnit, unitLabel] = makeSwitch(["inactive unit"], () => {
    slip.checked = false;
    slip.disabled = !inactiveUnit.checked;
    restart();
  });
  inactiveUnit.checked = true;
  const again = makeButton("Start again", restart, { class: "action" });
  const rate = view.makeRate(state.learning_rate);
  const others = state.has_switches ? [again, unitLabel] : [again, rate];
  root.classList.add("circles");
  view.build(read(), state.without_buttons ? [] : others);
  // What is pressed again and again stands first.
  if (state.has_switches) root.firstChild.prepend(view.root.querySelector(".update"), slipLabel);
}
