// Sets up the pad of a lesson, which reads what is drawn.

import { setUpPad } from "../parts/pad.js";
import { showRun } from "../show/paint.js";

const { networks, training } = JSON.parse(document.getElementById("run").textContent);
// A page without a network that it can read with has no pad.
export const pad = networks.length
  ? setUpPad(document.querySelector(".drawing"), networks, training)
  : undefined;
showRun(document.querySelector(".training"), networks);
