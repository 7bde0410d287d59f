// Asks for predictions in the page of a lesson. The first choice of a question that is pressed is
// the prediction. It is kept in the browser, and shown beside the right answer on a sheet at the
// end.
import { store } from "../parts/store.js";

const copyOf = (element) => element.cloneNode(true).childNodes;
const listWords = ({ children: [text, reason] }) => [...copyOf(text), " ", ...copyOf(reason)];

// One question, and its row of the sheet. Until a choice is pressed, its stop has the class
// "waiting", which hides what would give the answer away.
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

  // Once there is a prediction, each choice opens and closes on its own.
  choose(event, i) {
    if (store.read(this.key) !== null) return;
    event.preventDefault();
    store.keep(this.key, i);
  }

  // Opens the kept choice and the right one. Before there is one, what is hidden cannot be found or
  // printed.
  show() {
    const chosen = store.read(this.key);
    const isWaiting = chosen === null;
    this.stop.classList.toggle("waiting", isWaiting);
    this.choices.forEach((choice, i) => {
      choice.lastElementChild.hidden = isWaiting;
      choice.classList.toggle("chosen", i === chosen);
      choice.open = choice.matches(".chosen") || (choice.matches(".right") && !isWaiting);
    });
    this.fillRow(this.choices[chosen]);
  }

  // choice: the prediction, if there is one.
  fillRow(choice) {
    const right = this.choices.find((each) => each.matches(".right"));
    const [predicted, outcome, verdict] = this.row.querySelectorAll("td");
    predicted.replaceChildren(...(choice ? copyOf(choice.firstElementChild) : []));
    outcome.replaceChildren(...(choice ? listWords(right) : []));
    verdict.textContent = choice ? (choice === right ? "✓ right" : "✗ wrong") : "";
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
