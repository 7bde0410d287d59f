// Shows how a network reads the drawing while the network trains: bars for its scores, and a strip
// of its answers.

import { clamp, read } from "../../../pipeline/reports/scripts/compute/reading.js";
import { make, Section } from "../../../pipeline/reports/scripts/show/dom.js";
import { nameOf, paintInk } from "../../../pipeline/reports/scripts/show/paint.js";

// The epochs that a strip shows, the same on every device. The strip of a shorter training run ends
// with the last epoch of that run.
export const MILESTONES = [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 100];

// Shows one training run. root: an element with lesson_train.html.j2. image: the drawing.
export class Strip extends Section {
  constructor(root, image, classes) {
    super(root);
    this.image = image;
    this.classes = classes;
    this.epoch = -1; // the last one of the strip
    this.part("watch").hidden = false;
    this.part("strip").replaceChildren();
    paintInk(this.part("watched"), image);
  }

  // Reads the drawing with a network. isLast: whether the training run ends with this epoch. A run
  // that goes on after the last milestone still gets no more than the milestones.
  show(epoch, network, isLast = false) {
    const endsHere = isLast && epoch < MILESTONES.at(-1);
    const isInStrip = MILESTONES.includes(epoch) || endsHere;
    const { scores, answer } = read(this.image, network);
    [...this.part("bars").children].forEach((bar, d) => {
      bar.hidden = !(d in this.classes) && d !== answer;
      bar.firstElementChild.style.setProperty("--part", clamp(scores[d], 0, 1));
      bar.classList.toggle("answer", d === answer);
    });
    if (!isInStrip || epoch === this.epoch) return;
    this.epoch = epoch;
    const name = make("b", {}, nameOf(this.classes, answer));
    this.part("strip").append(make("li", {}, make("span", {}, epoch), " ", name));
  }
}
