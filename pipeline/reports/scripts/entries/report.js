// Sets up the report of a run: its pad, and its training where the page can train.

import { setUpPad } from "../parts/pad.js";
import { setUpRepetition } from "../parts/repeat.js";
import { showRun } from "../show/paint.js";

const { networks, training } = JSON.parse(document.getElementById("run").textContent);
const panel = document.querySelector(".training");
// A page without a network that it can read with has no pad.
const pad = networks.length
  ? setUpPad(document.querySelector(".drawing"), networks, training)
  : { add: () => {} };
showRun(panel, networks);
if (training) {
  const source = document.getElementById("script-network").textContent;
  setUpRepetition(panel, training, source, pad);
}
