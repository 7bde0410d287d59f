// Sorts the tables of a page, such as those of a sweep.
import { makeButton } from "../show/dom.js";

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
    const button = makeButton("", () => {
      const isDescending = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
      sortRows(table.tBodies[0], column, isDescending);
    });
    button.append(...head.childNodes);
    head.append(button);
    head.scope = "col";
  });
}

for (const table of document.querySelectorAll("table.sortable")) setUpSorting(table);
