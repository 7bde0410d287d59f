// Sets up the report of a run: its curves, its mistakes, and its pad and its training if it has them.

import { setUpPad } from "../parts/pad.js";
import { Repetition } from "../parts/repeat.js";
import { makeButton } from "../show/dom.js";
import { labelEnds } from "../show/plot.js";

// Makes the count of a kind of mistake a button that shows and hides the images below the table.
function setUpKind(figure) {
  const cell = document.querySelector(`[data-kind="${figure.id.slice("kind-".length)}"]`);
  if (!cell) return; // of an edited notebook
  const caption = figure.querySelector("figcaption").textContent;
  const attributes = { "aria-expanded": false, "aria-label": caption };
  const show = () => {
    const isHidden = figure.hidden;
    for (const each of document.querySelectorAll(".kind")) each.hidden = true;
    for (const each of document.querySelectorAll(".confusion button")) {
      each.setAttribute("aria-expanded", false);
    }
    figure.hidden = !isHidden;
    button.setAttribute("aria-expanded", isHidden);
    figure.scrollIntoView({ block: "nearest" });
  };
  const button = makeButton(cell.textContent, show, attributes);
  cell.replaceChildren(button);
}

const { network, training } = JSON.parse(document.getElementById("run").textContent);
const panel = document.querySelector(".training");
labelEnds(panel.querySelector(".accuracy"));
document.querySelectorAll(".kind").forEach(setUpKind);
if (network) setUpPad(document.querySelector(".drawing"), network);
if (training) {
  new Repetition(panel, training, document.getElementById("script-network").textContent);
}
