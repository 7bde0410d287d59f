// Shows how a network reads the drawing while it trains: ten bars, and a strip of its answers.

import { clamp, read } from "../compute/reading.js";
import { make, Section } from "../show/dom.js";
import { grey, nameOf, paint } from "../show/paint.js";
import { isStill } from "../show/view.js";

// The epochs of a strip, and the last one of a shorter training: the same on every device.
export const MILESTONES = [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 100];

// The drawing of one training. root: what has training.html.j2.
export class Strip extends Section {
  constructor(root, image, classes, words) {
    super(root);
    this.image = image;
    this.classes = classes;
    this.words = words; // what is changed in this training, or ""
    this.isStill = isStill();
    this.epoch = -1; // the last one of the strip
    this.show();
  }

  // The strip of the training before moves down, under the weights.
  show() {
    this.part("earlier").prepend(...this.part("now").children);
    this.part("watch").hidden = false;
    paint(this.part("watched"), [...this.image].map(grey));
    const picture = make("canvas", { width: 28, height: 28, "aria-hidden": true });
    paint(picture, [...this.image].map(grey));
    this.caption = make("span");
    this.list = make("ol");
    const caption = make("figcaption", {}, picture, this.caption);
    this.part("now").append(make("figure", { class: "strip" }, caption, this.list));
    this.name("Now");
  }

  name(training) {
    const words = this.words && `, ${this.words}`;
    this.caption.textContent = `${training}${words}. After so many epochs it reads:`;
  }

  // Reads the drawing with a network. isLast: whether the strip ends with this epoch.
  read(epoch, network, isLast = false) {
    const isInStrip = MILESTONES.includes(epoch) || (isLast && epoch < MILESTONES.at(-1));
    if (this.isStill && !isInStrip) return;
    const { scores, answer } = read(this.image, network);
    [...this.part("bars").children].forEach((bar, d) => {
      bar.hidden = !(d in this.classes) && d !== answer;
      bar.firstElementChild.style.setProperty("--part", clamp(scores[d] / 1.2, 0, 1));
      bar.classList.toggle("answer", d === answer);
    });
    if (!isInStrip || epoch === this.epoch) return;
    this.epoch = epoch;
    const name = make("b", {}, nameOf(this.classes, answer));
    this.list.append(make("li", {}, make("span", {}, epoch), " ", name));
  }
}
