// One button opens or folds all code; each piece also opens by itself, without this script.
const button = document.getElementById("all-code");
const sources = document.querySelectorAll("details.source");
button.hidden = sources.length === 0;
button.addEventListener("click", () => {
  const show = button.textContent === "Show all code";
  sources.forEach((source) => { source.open = show; });
  button.textContent = show ? "Hide all code" : "Show all code";
});
// On a narrow screen the contents start folded, so that the page begins with what it is about.
if (window.matchMedia("(max-width: 60rem)").matches) {
  document.querySelector("nav details").open = false;
}
