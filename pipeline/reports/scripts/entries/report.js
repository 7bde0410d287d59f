// Sets up the report of a run: its pad, and its training where the page can train.

import { unpackNetwork } from "../compute/reading.js";
import { setUpPad } from "../parts/pad.js";
import { setUpRepetition } from "../parts/repeat.js";
import { drawUnits } from "../show/paint.js";
import { labelEnds } from "../show/plot.js";

const { networks, training } = JSON.parse(document.getElementById("run").textContent);
const panel = document.querySelector(".training");
let pad = { add: () => {} }; // of a page that cannot read
labelEnds(panel.querySelector(".accuracy"));
if (networks.length) {
  pad = setUpPad(document.querySelector(".drawing"), networks, training);
  const [own] = networks;
  const draw = ({ weights }) =>
    drawUnits(panel.querySelector(".forming"), weights, own.hidden_size);
  unpackNetwork(own).then(draw);
}
if (training) {
  const source = document.getElementById("script-network").textContent;
  setUpRepetition(panel, training, source, pad);
}
