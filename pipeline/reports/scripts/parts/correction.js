// Asks what the correction of the slip will change, before it is made, and shows what it has
// changed. In a run that is not the original's nothing is asked.
import { Section } from "../show/dom.js";

const CLOSE = 0.02; // accuracies less than this apart are about the same
const GUESSES = ["fewer", "about as many", "clearly more"];

// root: what has training.html.j2. train: makes the correction.
export class Correction extends Section {
  constructor(root, run, train) {
    super(root);
    this.run = run;
    this.isAsked = this.part("guesses") !== null;
    this.guess = null; // a place in GUESSES, or -1 without a guess
    this.isBusy = false;
    this.on("correct", "click", () => {
      if (!this.isWaiting) train();
    });
    this.on("guesses", "click", ({ target: { type, value } }) => {
      if (type === "button") this.take(Number(value));
    });
  }

  get isWaiting() {
    return this.isAsked && this.guess === null;
  }

  setBusy(isBusy) {
    this.isBusy = isBusy;
    this.part("correct")?.setAttribute("aria-disabled", isBusy || this.isWaiting);
    if (this.isAsked) this.part("waits").hidden = !this.isWaiting;
  }

  ask() {
    if (this.isAsked) this.part("invitation").hidden = false;
  }

  take(guess) {
    this.guess = guess;
    for (const each of this.root.querySelectorAll(".guess")) {
      each.setAttribute("aria-pressed", Number(each.value) === guess);
    }
    this.setBusy(this.isBusy);
    this.tell();
  }

  // Tells the sheet of a lesson what was guessed, and what came out. right: a place in GUESSES.
  tell(right = null) {
    const guessed = GUESSES[this.guess] ?? "shown without a guess";
    const outcome = right === null ? "" : `It reads ${GUESSES[right]}.`;
    const isRight = right !== null && this.guess in GUESSES ? this.guess === right : null;
    const detail = { guessed, outcome, isRight };
    this.root.dispatchEvent(new CustomEvent("guess", { bubbles: true, detail }));
  }

  // Makes room for the accuracies on the validation images, before the corrected training begins.
  begin() {
    if (!this.isAsked) return;
    this.part("guesses").hidden = true;
    this.part("compared").hidden = false;
    this.write("guessed", "");
    this.write("corrected", "…");
    this.part("silent").hidden = true;
  }

  // Hides both accuracies, since another training begins.
  leave() {
    if (this.isAsked) this.part("compared").hidden = true;
  }

  // Shows what the corrected training has reached, beside the run's accuracy.
  show({ validation, epoch, silent, digest }) {
    if (!this.isAsked) return;
    const isLast = digest !== null;
    this.write("corrected", `${(100 * validation).toFixed(1)} %`);
    this.write("until", isLast ? "corrected" : `corrected, epoch ${epoch}`);
    if (!isLast) return;
    this.part("silent").hidden = false;
    this.write("silent-now", silent || "none");
    const difference = validation - this.run.curves.validation.at(-1);
    const right = Math.abs(difference) < CLOSE ? 1 : 1 + Math.sign(difference);
    const said = this.guess in GUESSES ? `You said ${GUESSES[this.guess]}. ` : "";
    this.write("guessed", `${said}It reads ${GUESSES[right]}.`);
    this.tell(right);
  }
}
