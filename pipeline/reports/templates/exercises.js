// Checks exercises whose answer is a number in the page, as exercises.check does in the notebook:
// by the digest of "exercise N: answer".
import { sha256 } from "./network.js";

function addField(code, number, known) {
  const field = document.createElement("input");
  field.size = 8;
  field.ariaLabel = `Answer to exercise ${number}`;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "action";
  button.textContent = "Check";
  const verdict = document.createElement("span");
  verdict.role = "status";
  button.addEventListener("click", () => {
    const text = `exercise ${number}: ${field.value.trim()}`;
    const digest = sha256(new TextEncoder().encode(text));
    verdict.textContent = digest.slice(0, 8) === known ? "correct" : "not correct";
  });
  code.after(" or here: ", field, " ", button, " ", verdict);
}

const digests = JSON.parse(document.getElementById("exercises").textContent);
for (const code of document.querySelectorAll(".prose code")) {
  const number = code.textContent.match(/^exercises\.check\((\d+), /)?.[1];
  if (number) addField(code, number, digests[number - 1]);
}
