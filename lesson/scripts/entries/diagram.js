// The front end of diagram.Diagram in JupyterLab.

import { keepKeys } from "../../../pipeline/reports/scripts/show/dom.js";
import { draw } from "../parts/small.js";

export function render({ model, el }) {
  el.classList.add("live-panel");
  keepKeys(el);
  draw(el, model.get("state"));
}
