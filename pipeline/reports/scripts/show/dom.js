// Makes what all parts of a page need: elements, sections, numbers as texts, and colours.

export const RED = [178, 24, 43]; // as in the plots
export const BLUE = [33, 102, 172];

function complete(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const make = (tag, attributes = {}, ...children) =>
  complete(document.createElement(tag), attributes, children);

export function makeButton(text, act, attributes = {}) {
  const button = make("button", { type: "button", ...attributes }, text);
  button.addEventListener("click", act);
  return button;
}

export const makeNumberField = (attributes = {}) =>
  make("input", { type: "number", step: "any", required: "", autocomplete: "off", ...attributes });

// Returns a checkbox, and a label with it and with these words.
export function makeSwitch(words, change) {
  const input = make("input", { type: "checkbox", autocomplete: "off" });
  input.addEventListener("change", change);
  return [input, make("label", {}, input, make("span", {}, ...words))];
}

// Brings elements onto the screen, unless they are there. The last one is the most important.
export function bring(...elements) {
  for (const each of elements) each.scrollIntoView({ block: "nearest" });
}

// Adds an element of the parent's kind, HTML or SVG, at the parent's end.
export function addElement(parent, tag, attributes = {}, ...children) {
  const element = document.createElementNS(parent.namespaceURI, tag);
  return parent.appendChild(complete(element, attributes, children));
}

// A part of a page, whose elements are found by their classes.
export class Section {
  constructor(root) {
    this.root = root;
  }

  part(name) {
    return this.root.querySelector(`.${name}`);
  }

  write(name, text) {
    this.part(name).textContent = text;
  }

  on(name, event, act) {
    this.part(name)?.addEventListener(event, act);
  }
}

export const count = (number, noun) => `${number} ${number === 1 ? noun : `${noun}s`}`;

// Returns a number as a text, with a true minus sign.
export const writeMinus = (number) => String(number).replace("-", "−");

// Returns an accuracy as a text, in per cent.
export const formatPercent = (fraction) => `${(100 * fraction).toFixed(1)}\u00a0%`;

// Returns a score or an activation with two digits after the decimal point, and never as -0.
export const formatNumber = (value) => writeMinus(value.toFixed(2).replace(/^-0.00$/, "0.00"));

// Marks each element that gets the focus. JupyterLab treats keys that are pressed in an element
// without this mark as commands on cells.
export function keepKeys(root) {
  root.addEventListener("focusin", ({ target }) => {
    target.setAttribute("data-lm-suppress-shortcuts", "true");
  });
}
