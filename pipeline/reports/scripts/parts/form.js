// The form of a report: the parameters to train with, each a field that says what it takes.

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

// The number in a field, which is a text; NaN if it is none.
const numberIn = ({ value }) => (DECIMAL.test(value.trim()) ? Number(value) : NaN);

// Says why a field's value is not allowed, or nothing.
function findFault(field) {
  const { min, max, above, below, step, allowed } = field.dataset;
  const value = numberIn(field);
  const point = field.value.trim().replace(",", ".");
  if (step !== "1" && Number.isNaN(value) && DECIMAL.test(point)) {
    return `${field.name} is ${field.value}. A decimal is written with a point: ${point}.`;
  }
  const isWrong =
    Number.isNaN(value) ||
    value < min ||
    value > max ||
    value <= above ||
    value >= below ||
    (step === "1" && !Number.isInteger(value));
  return isWrong ? `${field.name} must be ${allowed}.` : "";
}

// The fields in `root`, which has repeat.html.j2.
export class Form {
  constructor(root) {
    this.fields = [...root.querySelectorAll(".fields input")];
  }

  // Sets all fields to the run's own parameters.
  reset() {
    for (const field of this.fields) field.value = field.dataset.run;
  }

  // The first field with a value that is not allowed; it has the reason as its message.
  findWrong() {
    for (const field of this.fields) field.setCustomValidity(findFault(field));
    return this.fields.find((field) => !field.checkValidity());
  }

  read() {
    return Object.fromEntries(this.fields.map((field) => [field.name, numberIn(field)]));
  }

  // Says in words which parameters are not the run's own: learning_rate 0.01, seed 3.
  describeChanges(parameters) {
    const changed = this.fields.filter(
      ({ name, dataset }) => parameters[name] !== Number(dataset.run),
    );
    return changed.map(({ name }) => `${name} ${parameters[name]}`).join(", ");
  }
}
