// Sets up the pad, the training, the steps and the dots in the page of a lesson.

import { setUpPad } from "../../../pipeline/reports/scripts/parts/pad.js";
import { Trainings } from "../../../pipeline/reports/scripts/parts/trainings.js";
import { setUpClass } from "../parts/class.js";
import { Dots } from "../parts/dots.js";
import { Steps } from "../parts/step.js";
import { MILESTONES } from "../parts/strip.js";
import { setUpTraining } from "../parts/train.js";

const { network, training } = JSON.parse(document.getElementById("run").textContent);
const source = document.getElementById("script-network").textContent;
const trainings = new Trainings(training, source, MILESTONES);
const dots = new Dots(training.digest);
const pad = setUpPad(document.querySelector(".drawing"), network);
setUpTraining(document.getElementById("train"), trainings, dots, pad);
new Steps(document.querySelector(".steps"), training, pad).begin();
setUpClass(document.querySelector(".class"), training.parameters.num_validation, dots.setting);
