// One button opens or folds all code; each piece also opens by itself, without this script.
const button = document.getElementById("all-code");
const sources = document.querySelectorAll("details.source");
button.hidden = sources.length === 0;
button.addEventListener("click", () => {
  const show = button.textContent === "Show all code";
  document.querySelectorAll("details.source, details.set-up").forEach((each) => { each.open = show; });
  button.textContent = show ? "Hide all code" : "Show all code";
});
// What leads to the glossary opens it.
document.querySelectorAll('a[href="#glossary"]').forEach((link) => {
  link.addEventListener("click", () => { document.querySelector("details.glossary").open = true; });
});
// Where everything came from is folded on a screen, and printed.
let folded = [];
const unfold = (on) => folded.forEach((details) => { details.open = on; });
window.addEventListener("beforeprint", () => { folded.push(...document.querySelectorAll(":is(.origins, .set-up):not([open])")); unfold(true); });
window.addEventListener("afterprint", () => { unfold(false); folded = []; });
// On a narrow screen the contents start folded, so that the page begins with what it is about.
if (window.matchMedia("(max-width: 60rem)").matches) document.querySelector("nav details").open = false;
// The report of a run draws and trains; what has been trained here can read, too.
const [run, code] = ["run", "network"].map((id) => [...document.querySelectorAll(`script#${id}`)].at(-1)); // its own
if (run) {
  const { networks, training } = JSON.parse(run.textContent);
  const add = setUpPad(document.querySelector(".drawing"), networks);
  if (training) setUpTraining(document.querySelector(".training"), training, code.textContent, add);
}
