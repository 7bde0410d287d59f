// The form of a report: the parameters to train with, each in a field that says what it accepts.

// Returns whether the number in a field is allowed. The number must be above data-above and below
// data-below. HTML has no attributes of its own for limits that are themselves excluded.
function isAllowed(field) {
  field.setCustomValidity("");
  const { above, below } = field.dataset;
  const isOutside = field.valueAsNumber <= above || field.valueAsNumber >= below;
  return field.checkValidity() && !isOutside;
}

// The fields in `root`, which has repeat.html.j2.
export class Form {
  constructor(root) {
    this.fields = [...root.querySelectorAll(".fields input")];
  }

  // Sets all fields to the run's own parameters.
  reset() {
    for (const field of this.fields) field.value = field.defaultValue;
  }

  // Returns the first field with a value that is not allowed, if there is one. The message of this
  // field says what is allowed.
  findWrong() {
    const wrong = this.fields.find((field) => !isAllowed(field));
    for (const field of this.fields) {
      const fault = field === wrong ? `${field.name} must be ${field.dataset.allowed}.` : "";
      field.setCustomValidity(fault);
    }
    return wrong;
  }

  read() {
    return Object.fromEntries(this.fields.map((field) => [field.name, field.valueAsNumber]));
  }

  // Says in words which parameters are not the run's own: learning_rate 0.01, seed 3.
  describeChanges(parameters) {
    const changed = this.fields.filter(
      ({ name, defaultValue }) => parameters[name] !== Number(defaultValue),
    );
    return changed.map(({ name }) => `${name} ${parameters[name]}`).join(", ");
  }
}
