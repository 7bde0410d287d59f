// Asks for a prediction before an answer opens, in the page of a lesson. What was predicted is kept
// in the browser, and stands at the end on a sheet, beside what came out.
import { store } from "../parts/store.js";
import { make, makeButton } from "../show/dom.js";

const copyOf = (element) => element.cloneNode(true).childNodes;

// One question with its choices, the answer below it, and its row of the sheet. What would show the
// answer waits for the prediction: the section gets the event "prediction" with isWaiting, and with
// place, to which a link can lead.
class Prediction {
  constructor(question, row) {
    this.question = question;
    this.row = row;
    this.key = `prediction ${document.title}, ${question.id}`;
    this.choices = [...question.querySelectorAll("input")];
    this.answer = question.nextElementSibling;
    this.reasons = this.answer.querySelector(".reasons");
    this.hint = make("p", { class: "hint", role: "status" });
    const skip = () => {
      this.open();
      this.answer.firstElementChild.focus();
    };
    this.skip = makeButton("Show me without a guess", skip, { class: "action" });
    this.answer.after(this.hint);
    for (const choice of this.choices) {
      choice.addEventListener("change", () => this.keep({ isOpened: false }));
    }
    this.answer.firstElementChild.addEventListener("click", (event) => this.press(event));
    this.answer.addEventListener("toggle", () => {
      if (this.answer.open && !this.isOpened) this.open(); // as find-in-page does
    });
  }

  get chosen() {
    return this.choices.findIndex(({ checked }) => checked);
  }

  get isLocked() {
    return this.chosen < 0 && !this.isOpened;
  }

  press(event) {
    if (!this.isLocked) return;
    event.preventDefault();
    const words = make("strong", {}, "First choose your prediction, above. ");
    this.hint.replaceChildren(words, this.skip);
  }

  open() {
    this.keep({ isOpened: true });
    this.answer.open = true;
  }

  keep({ isOpened }) {
    store.keep(this.key, { chosen: this.chosen, isOpened });
  }

  // Shows what is kept. What has been opened stays as it was predicted, and what is locked cannot be
  // found, printed or opened.
  show() {
    const { chosen = -1, isOpened = false } = store.read(this.key) ?? {};
    this.isOpened = isOpened;
    this.choices.forEach((choice, i) => {
      choice.checked = i === chosen;
      choice.disabled = isOpened;
    });
    const { isLocked, question } = this;
    this.reasons.hidden = isLocked;
    this.answer.classList.toggle("locked", isLocked);
    if (!isOpened) this.answer.open = false;
    this.hint.replaceChildren();
    this.showRow();
    const detail = { isWaiting: isLocked, place: question.id };
    question.closest("section").dispatchEvent(new CustomEvent("prediction", { detail }));
  }

  // Fills in its row of the sheet: the prediction, what came out, and the mark.
  showRow() {
    const { chosen, isOpened, answer } = this;
    const choice = this.choices[chosen];
    const isRight = chosen === Number(answer.dataset.right);
    const mark = isRight ? "✓ right" : "✗ wrong";
    const [predicted, outcome, verdict] = this.row.querySelectorAll("td");
    const skipped = isOpened ? "shown without a guess" : "";
    predicted.replaceChildren(...(choice ? copyOf(choice.nextElementSibling) : [skipped]));
    outcome.replaceChildren(...(isOpened ? copyOf(answer.querySelector(".came-out")) : []));
    verdict.replaceChildren(choice && isOpened ? mark : "");
  }
}

// Prints the sheet without the page around it.
function printSheet() {
  const { classList } = document.body;
  classList.add("sheet-alone");
  window.addEventListener("afterprint", () => classList.remove("sheet-alone"), { once: true });
  window.print();
}

function setUpSheet(sheet) {
  const rows = [...sheet.querySelectorAll("tbody tr")];
  const predictions = rows.map((row) => {
    const question = document.getElementById(row.dataset.question);
    return new Prediction(question, row);
  });
  for (const each of predictions) each.show();
  store.addEventListener("change", ({ detail }) => {
    for (const each of predictions) if (each.key === detail || detail === "") each.show();
  });
  sheet.querySelector(".print").addEventListener("click", printSheet);
  sheet.querySelector(".renew").addEventListener("click", () => {
    if (!window.confirm("Begin again? Your predictions and dots are lost.")) return;
    for (const key of store.list("")) store.forget(key);
  });
}

setUpSheet(document.querySelector(".sheet"));
