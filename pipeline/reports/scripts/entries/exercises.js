// Checks exercises whose answer is a number in the page, as exercises.check does in the notebook:
// by the digest of "exercise N: answer".

import { sha256 } from "../compute/network.js";
import { make, makeButton } from "../show/dom.js";

async function digestAnswer(number, text) {
  const digest = await sha256(new TextEncoder().encode(`exercise ${number}: ${text}`));
  return digest.slice(0, 8);
}

function addField(code, number, known) {
  const field = make("input", { size: 8, "aria-label": `Answer to exercise ${number}` });
  const verdict = make("span", { role: "status" });
  const check = async () => {
    const answer = field.value.trim();
    // A number may be written in any way: 175.0 is as good as 175.
    const texts = answer ? [answer, String(Number(Number(answer).toPrecision(10)))] : [];
    const found = await Promise.all(texts.map((text) => digestAnswer(number, text)));
    const isCorrect = found.includes(known);
    verdict.textContent = isCorrect ? "correct" : "not correct";
  };
  const button = makeButton("Check", check, { class: "action" });
  code.after(" or here: ", field, " ", button, " ", verdict);
}

const digests = JSON.parse(document.getElementById("exercises").textContent);
for (const code of document.querySelectorAll(".prose code")) {
  const number = code.textContent.match(/^exercises\.check\((\d+), /)?.[1];
  if (number) addField(code, number, digests[number - 1]);
}
