// Shows the dots of a class: the lines that are pasted become two groups of dots.

import { keepText, store } from "../../../pipeline/reports/scripts/parts/store.js";
import { make, Section } from "../../../pipeline/reports/scripts/show/dom.js";
import { describeGroups, drawGroups } from "../show/groups.js";
import { readLines } from "./dots.js";

class Class extends Section {
  constructor(root, images, setting) {
    super(root);
    this.images = images;
    this.setting = setting;
    this.key = `pasted ${setting}`;
    this.field = this.part("pasted");
    keepText(this.field, this.key);
  }

  show() {
    const lines = this.field.value;
    this.part("result").hidden = lines.trim() === "";
    const { dots, refused } = readLines(lines, this.setting, this.images);
    drawGroups(this.part("groups"), dots);
    this.write("says", describeGroups(dots));
    const rows = lines.split("\n");
    const items = refused.map(({ number, reason }) => {
      const begin = make("code", {}, rows[number - 1].slice(0, 60));
      return make("li", {}, `Line ${number}, `, begin, `: ${reason}.`);
    });
    this.part("refused").replaceChildren(...items);
    this.part("not-counted").hidden = items.length === 0;
  }

  // Unfolds the stop where a class needs it: if lines are kept, or if the page's address has a seed
  // or leads to the stop.
  unfold() {
    const isAsked = /^#(seed=|class|the-class)/.test(location.hash);
    if (isAsked || this.field.value) this.root.closest("details").open = true;
  }

  listen() {
    store.addEventListener("change", ({ detail }) => {
      if (detail === this.key || detail === "") this.show();
    });
    window.addEventListener("hashchange", () => this.unfold());
  }
}

// Sets up the part in `root`, which has lesson_class.html.j2. images: the number of images on which
// accuracies are measured. setting: the digits with which the lines of this page begin.
export function setUpClass(root, images, setting) {
  const part = new Class(root, images, setting);
  part.listen();
  part.show();
  part.unfold();
}
