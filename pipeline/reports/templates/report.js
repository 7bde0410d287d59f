// Sets up the report of a run, which reads what is drawn.
import { showRun } from "./draw.js";
import { setUpPad } from "./pad.js";

const { networks, training } = JSON.parse(document.getElementById("run").textContent);
// A page without a network that it can read with has no pad.
export const pad = networks.length
  ? setUpPad(document.querySelector(".drawing"), networks, training)
  : undefined;
showRun(document.querySelector(".training"), networks);
