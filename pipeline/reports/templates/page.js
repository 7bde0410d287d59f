// What every page does: it opens and folds its pieces, and sorts its tables.

// All that a reader may open; an answer has its reading folded, too.
const FOLDED = ".source, .set-up, .answer, .prose details";

// One button opens or folds all code; each piece also opens by itself, without this script.
function setUpCode() {
  const button = document.getElementById("all-code");
  const pieces = document.querySelector(".answer") ? "all code and answers" : "all code";
  button.hidden = !document.querySelector("details.source");
  button.textContent = `Show ${pieces}`;
  button.addEventListener("click", () => {
    const isOpening = button.textContent.startsWith("Show");
    for (const details of document.querySelectorAll(FOLDED)) {
      details.open = isOpening;
    }
    button.textContent = `${isOpening ? "Hide" : "Show"} ${pieces}`;
  });
}

// What leads to the glossary opens it.
function setUpGlossary() {
  for (const link of document.querySelectorAll('a[href="#glossary"]')) {
    link.addEventListener("click", () => {
      document.querySelector("details.glossary").open = true;
    });
  }
}

// Set-up, answers, the glossary, and where everything came from are folded on a screen, and printed.
function setUpPrinting() {
  const folded = document.querySelectorAll(
    ":is(.origins, .glossary, .set-up, .answer, .prose details):not([open])",
  );
  const setOpen = (isOpen) => {
    for (const details of folded) details.open = isOpen;
  };
  window.addEventListener("beforeprint", () => setOpen(true));
  window.addEventListener("afterprint", () => setOpen(false));
}

// On a narrow screen the contents start folded, so that the page begins with what it is about.
function foldContents() {
  if (!window.matchMedia("(max-width: 60rem)").matches) return;
  document.querySelector("nav details").open = false;
}

const isNumber = (text) => /^-?[\d.]+(e[-+]\d+)?$/.test(text);

// Sorts the rows of a table by a column: numbers by value, ids and words by letter.
function sortRows(body, column, isDescending) {
  const compare = (a, b) => {
    const first = a.cells[column].textContent;
    const second = b.cells[column].textContent;
    const areNumbers = isNumber(first) && isNumber(second);
    return areNumbers ? first - second : first.localeCompare(second);
  };
  const rows = [...body.rows].sort((a, b) => (isDescending ? compare(b, a) : compare(a, b)));
  body.append(...rows);
}

// The head of a column of a sortable table becomes a button that sorts its rows.
function setUpSorting(table) {
  const heads = table.querySelectorAll("thead th");
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.scope = "col";
    button.addEventListener("click", () => {
      const isDescending = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
      sortRows(table.tBodies[0], column, isDescending);
    });
  });
}

setUpCode();
setUpGlossary();
setUpPrinting();
foldContents();
for (const table of document.querySelectorAll("table.sortable")) setUpSorting(table);
