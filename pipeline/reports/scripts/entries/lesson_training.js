// Sets up the training of a lesson; what is trained there can read, too.

import { setUpSteps } from "../parts/step.js";
import { setUpTraining } from "../parts/train.js";
import { pad } from "./lesson_pad.js";

const { training } = JSON.parse(document.getElementById("run").textContent);
const source = document.getElementById("script-network").textContent;
const panel = document.querySelector(".training");
const apart = document.querySelector(".training.apart"); // tries, in a lesson
setUpTraining(panel, training, source, pad, apart ?? panel);
const steps = document.querySelector(".steps");
setUpSteps(steps, training);
// What was not used is not printed; in a lesson the text around it is.
const { classList } = steps.closest(".lesson-stop") ? steps : steps.parentElement;
classList.add("has-unused-steps");
steps.addEventListener("click", () => classList.remove("has-unused-steps"), { once: true });
