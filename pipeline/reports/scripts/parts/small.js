// A small network from its state, drawn as circles. See pipeline/lessons/diagram.py.
import { Circles } from "../show/circles.js";
import { makeButton } from "../show/dom.js";
import { NetworkView } from "./network_view.js";
import { Paper } from "./paper.js";

// A network as sums.js has it.
function readState({ weights, inputs, targets, learningRate, reluGradInactive }) {
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
    mask: new Float64Array(sizes.length > 2 ? sizes[1] : 0).fill(1),
    inactive: reluGradInactive,
    rate: learningRate,
    digits: 4,
    isTrimmed: true,
    most: 12,
  };
}

// Draws a network in `root`.
export function draw(root, state) {
  const paper = state.onPaper ? new Paper() : null;
  const view = new NetworkView(root, new Circles(), { paper });
  const restart = () => {
    paper?.begin();
    view.restart(readState(state));
  };
  const again = makeButton("Start again", restart, { class: "action" });
  root.classList.add("circles");
  view.build(readState(state), [again, view.makeRate(state.learningRate)]);
}
