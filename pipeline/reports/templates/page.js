// One button opens or folds all code; each piece also opens by itself, without this script.
const button = document.getElementById("all-code");
const sources = document.querySelectorAll("details.source");
button.hidden = sources.length === 0;
button.addEventListener("click", () => {
  const show = button.textContent === "Show all code";
  sources.forEach((source) => { source.open = show; });
  button.textContent = show ? "Hide all code" : "Show all code";
});
// What leads to the glossary opens it.
document.querySelectorAll('a[href="#glossary"]').forEach((link) => {
  link.addEventListener("click", () => { document.querySelector("details.glossary").open = true; });
});
// Where everything came from is folded on a screen, and printed.
window.addEventListener("beforeprint", () => {
  document.querySelectorAll("details.origins").forEach((origins) => { origins.open = true; });
});
// On a narrow screen the contents start folded, so that the page begins with what it is about.
if (window.matchMedia("(max-width: 60rem)").matches) {
  document.querySelector("nav details").open = false;
}
// The head of a column of a sortable table sorts its rows: numbers by value, ids and words by letter.
document.querySelectorAll("table.sortable").forEach((table) => {
  const body = table.tBodies[0];
  table.querySelectorAll("thead th").forEach((head, column) => {
    const sorter = document.createElement("button");
    sorter.type = "button";
    sorter.append(...head.childNodes);
    head.append(sorter);
    head.scope = "col";
    sorter.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => {
        const [x, y] = [a, b].map((row) => row.cells[column].textContent);
        return x !== "" && y !== "" && !isNaN(x) && !isNaN(y) ? x - y : x.localeCompare(y);
      };
      body.append(...[...body.rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
    });
  });
});
