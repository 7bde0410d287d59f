// Asks for predictions in the page of a lesson. The first choice of a question that the reader
// presses is the prediction. A sheet at the end of the page shows the predictions beside the right
// answers. The browser keeps them, and the sentences that the reader completes.
import { keepText, store } from "../../../pipeline/reports/scripts/parts/store.js";
import { bring } from "../../../pipeline/reports/scripts/show/dom.js";
import { KINDS } from "../parts/dots.js";

const ASKED = "answers without training";

const copyOf = (element) => element.cloneNode(true).childNodes;
const listWords = ({ children: [text, reason] }) => [...copyOf(text), " ", ...copyOf(reason)];

// Returns whether the reader has a dot of each kind, and so has seen what the slip costs. Whoever
// could not train may also ask for the answers.
function hasTrained() {
  const kinds = store.list("dot ").map((key) => key.split(" ")[2]);
  return KINDS.every((kind) => kinds.includes(kind)) || store.read(ASKED) !== null;
}

// One question, and its row of the sheet. The stop of the question has a class that hides what would
// give the answer away: "waiting" until a choice is pressed, and "untrained" while the answer is to
// be seen in dots that the reader has not trained yet.
class Prediction {
  constructor(question, row) {
    this.stop = question.closest("section");
    this.hasDots = this.stop.querySelector(".dots") !== null;
    this.row = row;
    this.key = `prediction ${document.title}, ${question.id}`;
    this.state = null; // what is shown
    this.choices = [...question.querySelectorAll(".choice")];
    this.choices.forEach((choice, i) => {
      choice.firstElementChild.addEventListener("click", (event) => this.choose(event, i));
    });
  }

  // Keeps choice i as the prediction; the store then calls `show`, which opens choices. So the
  // browser must not open or close this one, too. Later presses are left to the browser.
  choose(event, i) {
    if (store.read(this.key) !== null) return;
    event.preventDefault();
    store.keep(this.key, i);
    bring(this.choices[i]);
  }

  // Marks the prediction. If it may be answered, opens the predicted choice and the right one. Before
  // that the comments on all choices are hidden, so that a search or a printer does not find them.
  show() {
    const place = store.read(this.key); // of the prediction, or null
    const isWaiting = place === null;
    const isUntrained = !isWaiting && this.hasDots && !hasTrained();
    const state = `${place} ${isUntrained}`;
    if (state === this.state) return;
    this.state = state;
    this.stop.classList.toggle("waiting", isWaiting);
    this.stop.classList.toggle("untrained", isUntrained);
    const isAnswered = !isWaiting && !isUntrained;
    this.choices.forEach((choice, i) => {
      const isChosen = i === place;
      choice.lastElementChild.hidden = !isAnswered;
      choice.classList.toggle("chosen", isChosen);
      choice.open = isAnswered && (isChosen || choice.matches(".right"));
    });
    const cells = [...this.row.querySelectorAll("td")];
    for (const cell of cells) cell.replaceChildren();
    if (isAnswered) this.fillRow(cells, this.choices[place]);
  }

  // choice: the prediction.
  fillRow([predicted, outcome, verdict], choice) {
    const right = this.choices.find((each) => each.matches(".right"));
    predicted.replaceChildren(...copyOf(choice.firstElementChild));
    outcome.replaceChildren(...listWords(right));
    verdict.textContent = choice === right ? "✓ right" : "✗ wrong";
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
  const predictions = Array.from(sheet.querySelectorAll("tbody tr"), (row) => {
    const question = document.getElementById(row.dataset.question);
    return new Prediction(question, row);
  });
  const show = () => {
    for (const each of predictions) each.show();
  };
  show();
  store.addEventListener("change", show);
  document.querySelector(".ask-answers").addEventListener("click", () => store.keep(ASKED, true));
  sheet.querySelector(".print").addEventListener("click", printSheet);
  sheet.querySelector(".renew").addEventListener("click", () => {
    if (!window.confirm("Begin again? Your predictions, sentences and dots will be lost.")) return;
    for (const key of store.list("")) store.forget(key);
  });
}

for (const field of document.querySelectorAll(".sentence textarea")) {
  keepText(field, `${document.title}, ${field.id}`);
}
setUpSheet(document.querySelector(".sheet"));
