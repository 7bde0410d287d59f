// Sets up the report of a run that can be trained again; what is trained there can read, too.

import { setUpSteps } from "../parts/step.js";
import { setUpTraining } from "../parts/train.js";
import { pad } from "./report.js";

const { training } = JSON.parse(document.getElementById("run").textContent);
const source = document.getElementById("script-network").textContent;
const panel = document.querySelector(".training");
const apart = document.querySelector(".training.apart"); // tries, in a lesson
setUpTraining(panel, training, source, pad, apart ?? panel);
const steps = document.querySelector(".steps");
setUpSteps(steps, training);
const { classList } = steps.parentElement;
classList.add("has-unused-steps"); // which are not printed
for (const name of ["next", "play"]) {
  const button = steps.querySelector(`.${name}`);
  button.addEventListener("click", () => classList.remove("has-unused-steps"));
}
