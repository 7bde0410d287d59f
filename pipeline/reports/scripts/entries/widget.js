// The front end of explore.LivePanel: what a run's report has, in a notebook. It sends drawings and
// trained weights to Python.

import { setUpPad } from "../parts/pad.js";
import { setUpSteps } from "../parts/step.js";
import { NO_PAD, setUpTraining } from "../parts/train.js";
import { keepKeys } from "../show/dom.js";
import { showRun } from "../show/paint.js";

export function render({ model, el }) {
  const send = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const { networks, training } = model.get("page");
  el.innerHTML = model.get("html");
  el.classList.add("live-panel");
  keepKeys(el);
  showRun(el, networks);
  const onDrawn = (image) => send("drawn", new DataView(image.buffer));
  const pad = networks.length
    ? setUpPad(el.querySelector(".drawing"), networks, training, onDrawn)
    : NO_PAD;
  if (!training) return;
  const add = (network) => {
    const first = new DataView(network.weights.first.buffer);
    const second = new DataView(network.weights.second.buffer);
    send("trained", { first, second, normalisation: network.normalisation });
    pad.add(network);
  };
  const part = el.querySelector(".training");
  const stopSteps = setUpSteps(el.querySelector(".steps"), training);
  const stopTraining = setUpTraining(part, training, model.get("source"), { ...pad, add });
  return () => {
    stopSteps();
    stopTraining();
  };
}
