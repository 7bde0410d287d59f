// Shows the dots of a class: the lines that are pasted become two groups of dots. A press on a dot
// repeats the training run of that dot.

import { formatPercent, make, Section } from "../show/dom.js";
import { describeGroups, drawGroups } from "../show/groups.js";
import { nameDot, readLines } from "./dots.js";
import { store } from "./store.js";

const NEAR = 16; // a press within this many pixels of a dot counts as pressing it
const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };

class Class extends Section {
  constructor(root, trainings, setting) {
    super(root);
    this.trainings = trainings;
    this.setting = setting;
    this.key = `pasted ${setting}`;
    this.field = this.part("pasted");
    this.marks = []; // the dots, each with its circle
    this.stop = () => {};
  }

  show() {
    const kept = store.read(this.key) ?? "";
    if (this.field.value !== kept) this.field.value = kept;
    const { dots, refused } = readLines(kept, this.setting, this.trainings.run.numValidation);
    this.marks = drawGroups(this.part("groups"), dots);
    for (const [i, mark] of this.marks.entries()) this.offer(mark, i);
    this.write("says", describeGroups(dots));
    this.part("result").hidden = kept.trim() === "";
    const items = refused.map(({ line, reason }) =>
      make("li", {}, make("code", {}, line.slice(0, 60)), ` ${reason}.`),
    );
    this.part("refused").replaceChildren(...items);
    this.part("not-counted").hidden = items.length === 0;
  }

  // Makes a dot pressable. Tab reaches only the first dot, and arrow keys reach the others.
  offer({ dot, circle }, i) {
    const words = `${nameDot(dot)}: ${formatPercent(dot.accuracy)}`;
    const attributes = { role: "button", tabindex: i === 0 ? 0 : -1, "aria-label": words };
    for (const [key, value] of Object.entries(attributes)) circle.setAttribute(key, value);
  }

  // Repeats the training run of a dot, and says whether the accuracy is the same.
  check({ dot }) {
    this.stop();
    const name = nameDot(dot);
    this.write("verdict", `${name}: training it again.`);
    const tell = ({ accuracy }) => {
      const isEqual = accuracy === dot.accuracy;
      const there = formatPercent(dot.accuracy);
      const words = isEqual
        ? `${there}, equal to what was pasted.`
        : `${formatPercent(accuracy)} here, NOT equal to the ${there} that was pasted.`;
      this.write("verdict", `${name}, trained again: ${words}`);
    };
    const fail = (error) => this.write("verdict", `This browser could not train: ${error}`);
    this.stop = this.trainings.measure([dot], tell, fail);
  }

  // Returns the dot that is nearest to a press, or null if no dot is near.
  findNearest({ clientX, clientY }) {
    const measured = this.marks.map((mark) => {
      const { left, top, width, height } = mark.circle.getBoundingClientRect();
      const [x, y] = [left + width / 2 - clientX, top + height / 2 - clientY];
      return { mark, distance: Math.hypot(x, y) };
    });
    const [nearest] = measured.sort((a, b) => a.distance - b.distance);
    return nearest?.distance < NEAR ? nearest.mark : null;
  }

  pressKey(event) {
    const at = this.marks.findIndex(({ circle }) => circle === event.target);
    if (at < 0) return;
    if (event.key in STEPS) this.marks[at + STEPS[event.key]]?.circle.focus();
    else if (event.key === "Enter" || event.key === " ") this.check(this.marks[at]);
    else return;
    event.preventDefault();
  }

  listen() {
    this.field.addEventListener("input", () => {
      this.stop();
      this.write("verdict", "Press a dot to train it again.");
      store.keep(this.key, this.field.value);
    });
    store.addEventListener("change", ({ detail }) => {
      if (detail === this.key || detail === "") this.show();
    });
    this.on("groups", "click", (event) => {
      const mark = this.findNearest(event);
      if (mark) this.check(mark);
    });
    this.on("groups", "keydown", (event) => this.pressKey(event));
  }
}

// Sets up the part in `root`, which has lesson_class.html.j2. setting: the digits with which the
// lines of this page begin.
export function setUpClass(root, trainings, setting) {
  const part = new Class(root, trainings, setting);
  part.listen();
  part.show();
}
