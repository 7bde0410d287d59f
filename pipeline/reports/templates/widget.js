// The front end of explore.LivePanel: what a run's report has, in a notebook. It sends drawings and
// trained weights to Python.
import { keepKeys } from "./dom.js";
import { showRun } from "./draw.js";
import { setUpPad } from "./pad.js";
import { setUpSteps } from "./step.js";
import { setUpTraining } from "./train.js";

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
  const add = networks.length
    ? setUpPad(el.querySelector(".drawing"), networks, training, onDrawn)
    : () => {};
  if (!training) return;
  const keep = (network) => {
    const first = new DataView(network.weights.first.buffer);
    const second = new DataView(network.weights.second.buffer);
    send("trained", { first, second, normalisation: network.normalisation });
    add(network);
  };
  const part = el.querySelector(".training");
  const stopSteps = setUpSteps(el.querySelector(".steps"), training);
  const stopTraining = setUpTraining(part, training, model.get("source"), keep);
  return () => {
    stopSteps();
    stopTraining();
  };
}
