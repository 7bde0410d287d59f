// What every page does: it opens and folds its pieces.
import { make, makeButton } from "../show/dom.js";

const CODE = ".source, .set-up";
const ANSWERS = "details.answer, .prose details"; // an answer has its reading folded, too

// One button opens or folds all code, and all answers unless these wait for predictions; each piece
// also opens by itself, without this script.
function setUpCode() {
  const button = document.getElementById("all-code");
  if (!button) return; // as in a lesson, which has no code
  const hasAnswers = document.querySelector("details.answer") && !document.querySelector(".sheet");
  const pieces = hasAnswers ? "all code and answers" : "all code";
  const folded = hasAnswers ? `${CODE}, ${ANSWERS}` : CODE;
  button.hidden = !document.querySelector("details.source");
  button.textContent = `Show ${pieces}`;
  button.addEventListener("click", () => {
    const isOpening = button.textContent.startsWith("Show");
    for (const details of document.querySelectorAll(folded)) {
      details.open = isOpening;
    }
    button.textContent = `${isOpening ? "Hide" : "Show"} ${pieces}`;
  });
}

// The entry of a word in the glossary, also in the plural, or as textbooks call it.
function findEntry(glossary, word) {
  const singular = (text) => text.trim().toLowerCase().replace(/s$/, "");
  const rows = [...glossary.querySelectorAll("tbody tr")];
  const isNamed = (place) => (row) =>
    row.cells[place].textContent.split(",").some((name) => singular(name) === singular(word));
  return rows.find(isNamed(0)) ?? rows.find(isNamed(4));
}

// A note under a word's paragraph, with its entry; only the latest one stays.
class Definition {
  constructor() {
    this.note = make("div", { class: "definition", role: "note", tabindex: -1 });
    this.word = null; // the link that is explained
    document.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && this.word) this.close();
    });
  }

  open(word, [name, meaning]) {
    const text = meaning.cloneNode(true).childNodes;
    const button = makeButton("Close", () => this.close());
    this.word = word;
    this.note.replaceChildren(make("b", {}, name.textContent), ": ", ...text, ". ", button);
    // Not within what is announced, and is hidden, as a whole.
    (word.closest("[role=status]") ?? word.closest("p, li, td")).after(this.note);
    this.note.focus({ preventScroll: true });
    this.note.scrollIntoView({ block: "nearest" });
  }

  close() {
    this.note.remove();
    this.word.focus({ preventScroll: true });
    this.word = null;
  }
}

// What leads to the glossary opens it, but a word that has an entry shows that where it stands.
function setUpGlossary() {
  const glossary = document.querySelector("details.glossary");
  const definition = new Definition();
  for (const link of document.querySelectorAll('a[href="#glossary"]')) {
    const entry = findEntry(glossary, link.textContent);
    link.addEventListener("click", (event) => {
      if (!entry) {
        glossary.open = true;
        return;
      }
      event.preventDefault();
      definition.open(link, entry.cells);
    });
  }
}

// Set-up, answers, the glossary, and where everything came from are folded on a screen, and printed.
function setUpPrinting() {
  let folded = []; // what is to be folded again
  const setOpen = (isOpen) => {
    for (const details of folded) details.open = isOpen;
  };
  window.addEventListener("beforeprint", () => {
    // An answer that waits for a prediction stays shut.
    const kinds = `:is(.origins, .glossary, .set-up, ${ANSWERS})`;
    folded = document.querySelectorAll(`${kinds}:not([open], .locked)`);
    setOpen(true);
  });
  window.addEventListener("afterprint", () => setOpen(false));
}

// On a narrow screen the contents start folded, so that the page begins with what it is about.
function foldContents() {
  const contents = document.querySelector("nav details");
  if (contents && window.matchMedia("(max-width: 60rem)").matches) contents.open = false;
}

setUpCode();
setUpGlossary();
setUpPrinting();
foldContents();
