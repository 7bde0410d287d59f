// Teaches the network of a pad the drawing, in the page of a lesson.

import { DIGITS, evaluate, Training } from "../../../pipeline/reports/scripts/compute/network.js";
import { imageOf, read, unpackBytes } from "../../../pipeline/reports/scripts/compute/reading.js";
import { formatPercent, Section } from "../../../pipeline/reports/scripts/show/dom.js";

const EAGER = 5; // the step of "Teach it", in learning rates

// Returns copies of the weights after one update with an image and its label, without dropout.
function learnImage({ weights, normalisation }, image, label, parameters) {
  const copies = {
    first: Float64Array.from(weights.first),
    second: Float64Array.from(weights.second),
  };
  const once = { ...parameters, normalisation, hidden_size: copies.second.length / DIGITS };
  once.learning_rate *= EAGER;
  once.dropout_rate = 0;
  once.input_dropout_rate = 0;
  new Training(image, [label], once, copies).next();
  return copies;
}

// The buttons below a pad, with teaching.html.j2.
class Teaching extends Section {
  constructor(root, pad, training) {
    super(root);
    this.pad = pad;
    this.training = training;
    this.validation = null; // images and labels, once unpacked
    root.addEventListener("redrawn", () => this.begin());
    this.on("teach", "click", () => this.teach());
    this.on("forget", "click", () => this.forget());
    this.begin();
  }

  begin() {
    if (!this.pad.isDrawn) this.part("label").selectedIndex = -1;
    this.tell("");
  }

  tell(words) {
    this.write("taught", words);
    this.part("forget").setAttribute("aria-disabled", !this.pad.network.before);
    this.pad.askForFrame();
  }

  // Makes one update with what is drawn, and says what the update has done.
  async teach() {
    const { network, strokes, isDrawn } = this.pad;
    const label = this.part("label").selectedIndex;
    if (!network.weights || !isDrawn) this.tell("Draw something first.");
    else if (label < 0) this.tell("First choose what it is, after “This is a”.");
    else {
      const image = imageOf(strokes);
      network.before ??= network.weights;
      network.weights = learnImage(network, image, label, this.training.parameters);
      const isWrong = read(image, network).answer !== label;
      const again = isWrong ? " Its answer is still wrong, so press again for another step." : "";
      const others = await this.compare(network);
      this.tell(`It has learned from your drawing, in one step.${again}${others}`);
    }
    this.part("taught").scrollIntoView({ block: "nearest" });
  }

  forget() {
    const { network } = this.pad;
    if (!network.before) return;
    network.weights = network.before;
    network.before = null;
    this.tell("The network is as it was before.");
  }

  // Says how the accuracy on other images has changed since the network was first taught.
  async compare({ weights, before, normalisation }) {
    const { validation_images, validation_labels } = this.training;
    const packed = [validation_images, validation_labels];
    this.validation ??= await Promise.all(packed.map(unpackBytes));
    const [, now] = evaluate(...this.validation, weights, normalisation);
    const [, old] = evaluate(...this.validation, before, normalisation);
    const count = this.validation[1].length.toLocaleString("en");
    const why = now < old ? ": a step for one image may harm others" : "";
    return (
      ` It now reads ${formatPercent(now)} of ${count} other images correctly; ` +
      `before you taught it, it was ${formatPercent(old)}${why}.`
    );
  }
}

// training: the data for training, as live.py collects it, with validation images.
export function setUpTeaching(root, pad, training) {
  new Teaching(root, pad, training);
}
