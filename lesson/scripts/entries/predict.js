// Asks for predictions in the page of a lesson. The first choice of a question that the reader
// presses is the prediction. Predictions are kept in the browser. A sheet at the end of the page
// shows them beside the right answers.
import { store } from "../../../pipeline/reports/scripts/parts/store.js";
import { bring } from "../../../pipeline/reports/scripts/show/dom.js";

const copyOf = (element) => element.cloneNode(true).childNodes;
const listWords = ({ children: [text, reason] }) => [...copyOf(text), " ", ...copyOf(reason)];

// One question, and its row of the sheet. Until a choice is pressed, the stop of the question has
// the class "waiting", which hides what would give the answer away.
class Prediction {
  constructor(question, row) {
    this.stop = question.closest("section");
    this.row = row;
    this.key = `prediction ${document.title}, ${question.id}`;
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

  // Opens the predicted choice and the right one. Before there is a prediction, the comments on all
  // choices are hidden, so that a search or a printer does not find them.
  show() {
    const place = store.read(this.key); // of the prediction, or null
    const isWaiting = place === null;
    this.stop.classList.toggle("waiting", isWaiting);
    this.choices.forEach((choice, i) => {
      const isChosen = i === place;
      choice.lastElementChild.hidden = isWaiting;
      choice.classList.toggle("chosen", isChosen);
      choice.open = isChosen || (choice.matches(".right") && !isWaiting);
    });
    const cells = [...this.row.querySelectorAll("td")];
    for (const cell of cells) cell.replaceChildren();
    if (!isWaiting) this.fillRow(cells, this.choices[place]);
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
  for (const each of predictions) each.show();
  store.addEventListener("change", ({ detail }) => {
    for (const each of predictions) if (each.key === detail || detail === "") each.show();
  });
  sheet.querySelector(".print").addEventListener("click", printSheet);
  sheet.querySelector(".renew").addEventListener("click", () => {
    if (!window.confirm("Begin again? Your predictions and dots will be lost.")) return;
    for (const key of store.list("")) store.forget(key);
  });
}

setUpSheet(document.querySelector(".sheet"));
