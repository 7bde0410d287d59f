// Sets up the report of a run, which reads what is drawn.
import { showRun } from "./draw.js";
import { setUpPad } from "./pad.js";

const { networks, training } = JSON.parse(document.getElementById("run").textContent);
export const addNetwork = setUpPad(document.querySelector(".drawing"), networks, training);
showRun(document.querySelector(".training"), networks);
