// The front end of diagram.Diagram in JupyterLab.

import { draw } from "../parts/small.js";
import { keepKeys } from "../show/dom.js";

export function render({ model, el }) {
  el.classList.add("live-panel");
  keepKeys(el);
  draw(el, model.get("state"));
}
