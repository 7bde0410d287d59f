// The network of pipeline/network/compiled.py in JavaScript. It computes the same sums in the same
// order on the same doubles, so it gives the same bits.
//
//   images   Uint8Array, 784 pixels an image      labels   Uint8Array, a digit an image
//   weights  { first: Float64Array, 784 rows of H; second: Float64Array, H rows of 10 }

export const PIXELS = 784;
export const DIGITS = 10;

// NumPy's legacy RandomState, a Mersenne Twister (M. Matsumoto and T. Nishimura 1998). The seed is
// a number or a list of numbers.
class RandomState {
  constructor(seed) {
    this.state = new Uint32Array(624);
    if (typeof seed === "number") this.#seed(seed);
    else this.#seedByList(seed);
    this.at = 624;
  }

  #seed(number) {
    const state = this.state;
    state[0] = number;
    for (let i = 1; i < 624; i++) {
      state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    }
  }

  #seedByList(list) {
    const state = this.state;
    this.#seed(19650218);
    let i = 1;
    let j = 0;
    for (let k = Math.max(624, list.length) + 623; k > 0; k--) {
      const isFirstPass = k > 623;
      const factor = isFirstPass ? 1664525 : 1566083941;
      const summand = isFirstPass ? list[j] + j : -i;
      state[i] = (state[i] ^ Math.imul(state[i - 1] ^ (state[i - 1] >>> 30), factor)) + summand;
      j = (j + 1) % list.length;
      i++;
      if (i === 624) {
        state[0] = state[623];
        i = 1;
      }
    }
    state[0] = 0x80000000;
  }

  // Returns 32 random bits.
  next() {
    if (this.at === 624) this.#renewState();
    let y = this.state[this.at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #renewState() {
    const state = this.state;
    for (let i = 0; i < 624; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }

  // Returns a number from 0 to below 1, made of 53 random bits.
  sample() {
    const high = this.next() >>> 5;
    return (high * 67108864 + (this.next() >>> 6)) / 9007199254740992;
  }
}

function initialWeights(rng, hiddenSize) {
  const draw = (count) => Float64Array.from({ length: count }, () => -0.1 + 0.2 * rng.sample());
  const first = draw(PIXELS * hiddenSize);
  return { first, second: draw(hiddenSize * DIGITS) };
}

function drawMask(rng, mask, dropoutRate) {
  for (let h = 0; h < mask.length; h++) {
    if (dropoutRate === 0) mask[h] = 1;
    else if (dropoutRate === 0.5) mask[h] = 2 * (rng.next() & 1);
    else mask[h] = rng.sample() >= dropoutRate ? 1 / (1 - dropoutRate) : 0;
  }
}

// Computes the hidden units and the scores of one image, and writes them into `hidden` and
// `scores`. Returns the places of the pixels that are not 0. The loop computes four units at a
// time, so that their sums stay in registers. If the number of units is not a multiple of four, the
// last sums are of no unit. This does no harm, because a typed array ignores what is written beyond
// its end.
export function forward(image, scaled, { first, second }, mask, hidden, scores) {
  const size = hidden.length;
  const places = [];
  const values = [];
  for (let p = 0; p < PIXELS; p++) {
    if (image[p] === 0) continue;
    places.push(p);
    values.push(scaled[image[p]]);
  }
  for (let h = 0; h < size; h += 4) {
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let k = 0; k < places.length; k++) {
      const value = values[k];
      const at = places[k] * size + h;
      a += value * first[at];
      b += value * first[at + 1];
      c += value * first[at + 2];
      d += value * first[at + 3];
    }
    hidden[h] = a;
    hidden[h + 1] = b;
    hidden[h + 2] = c;
    hidden[h + 3] = d;
  }
  scores.fill(0);
  for (let h = 0; h < size; h++) {
    hidden[h] = Math.max(0, hidden[h]) * mask[h];
    for (let d = 0; d < DIGITS; d++) scores[d] += hidden[h] * second[h * DIGITS + d];
  }
  return places;
}

// Returns the place of the largest value. If several are equally large, the first one counts.
export const argmax = (values) =>
  values.reduce((best, value, place) => (value > values[best] ? place : best), 0);

// Returns the 256 values that a pixel can have, scaled for the network.
export const scalePixelValues = (divisor) =>
  Float64Array.from({ length: 256 }, (_, value) => value / divisor);

// Moves the weights against the gradient of one image, for which `forward` has computed `hidden`.
// delta: the scores minus the targets. relu_grad_inactive: the slope of the ReLU for inactive units.
// The function also writes the error signals of the hidden units into `signal`. places: those of the
// pixels that are not 0.
function update(training, places) {
  const { weights, image, scaled, mask, hidden, delta, signal, learningRate, parameters } =
    training;
  const { first, second } = weights;
  const size = hidden.length;
  for (let h = 0; h < size; h++) {
    const row = h * DIGITS;
    const step = learningRate * hidden[h];
    const slope = hidden[h] > 0 ? 1 : parameters.relu_grad_inactive;
    let back = 0;
    for (let d = 0; d < DIGITS; d++) back += delta[d] * second[row + d];
    signal[h] = back * slope * mask[h];
    for (let d = 0; d < DIGITS; d++) second[row + d] -= step * delta[d];
  }
  for (const p of places) {
    const row = p * size;
    const step = learningRate * scaled[image[p]];
    for (let h = 0; h < size; h++) first[row + h] -= step * signal[h];
  }
}

// Trains with the parameters of 02_train, but always with batch_size 1. Each call of `next` makes
// one update, and leaves the arrays of the update in fields such as `hidden`. The fields `error`
// and `correct` are sums over the current epoch, measured under dropout.
export class Training {
  constructor(images, labels, parameters) {
    const size = parameters.hidden_size;
    this.images = images;
    this.labels = labels;
    this.parameters = parameters;
    this.epoch = 1;
    this.place = 0;
    this.error = 0;
    this.correct = 0;
    this.learningRate = parameters.learning_rate;
    this.rng = new RandomState(parameters.seed);
    // Pixels are dropped by a generator of their own, so that this changes neither the initial
    // weights nor the hidden masks.
    this.inputRng = new RandomState([parameters.seed, 1]);
    this.weights = initialWeights(this.rng, size);
    this.image = new Uint8Array(PIXELS);
    this.hidden = new Float64Array(size);
    this.signal = new Float64Array(size);
    this.mask = new Float64Array(size);
    this.scores = new Float64Array(DIGITS);
    this.delta = new Float64Array(DIGITS);
    // The pixels that stay are scaled up, so that the sums keep their size when others are dropped.
    const shareThatStays = 1 - parameters.input_dropout_rate;
    this.scaled = scalePixelValues(parameters.normalisation * shareThatStays);
  }

  next() {
    const { labels, parameters, image, scaled, weights, mask, hidden, scores, delta } = this;
    if (this.place === labels.length) this.#beginEpoch();
    const i = this.place++;
    this.#takeImage(i); // into `image`
    drawMask(this.rng, mask, parameters.dropout_rate);
    const places = forward(image, scaled, weights, mask, hidden, scores);
    if (argmax(scores) === labels[i]) this.correct++;
    for (let d = 0; d < DIGITS; d++) {
      const target = d === labels[i] ? 1 : 0;
      delta[d] = scores[d] - target;
      this.error += delta[d] * delta[d];
    }
    update(this, places);
  }

  #beginEpoch() {
    this.epoch++;
    this.place = 0;
    this.error = 0;
    this.correct = 0;
    this.learningRate *= this.parameters.learning_rate_decay;
  }

  // Copies image i into `image`, and drops some of its pixels.
  #takeImage(i) {
    const image = this.image;
    const dropoutRate = this.parameters.input_dropout_rate;
    image.set(this.images.subarray(i * PIXELS, (i + 1) * PIXELS));
    if (dropoutRate === 0) return;
    for (let p = 0; p < PIXELS; p++) {
      if (this.inputRng.sample() < dropoutRate) image[p] = 0;
    }
  }
}

// Returns the error and the accuracy on images, measured without dropout.
export function evaluate(images, labels, weights, normalisation) {
  const hidden = new Float64Array(weights.second.length / DIGITS);
  const scores = new Float64Array(DIGITS);
  const mask = hidden.map(() => 1);
  const scaled = scalePixelValues(normalisation);
  let error = 0;
  let correct = 0;
  labels.forEach((label, i) => {
    const image = images.subarray(i * PIXELS, (i + 1) * PIXELS);
    forward(image, scaled, weights, mask, hidden, scores);
    for (let d = 0; d < DIGITS; d++) {
      const target = d === label ? 1 : 0;
      const delta = scores[d] - target;
      error += delta * delta;
    }
    if (argmax(scores) === label) correct++;
  });
  return { error: error / labels.length, accuracy: correct / labels.length };
}

// Returns the SHA-256 of weights, as the project states it: that of the little-endian bytes of
// the first matrix, followed by those of the second.
export async function digestOf({ first, second }) {
  const bytes = new DataView(new ArrayBuffer(8 * (first.length + second.length)));
  [...first, ...second].forEach((weight, i) => {
    bytes.setFloat64(8 * i, weight, true);
  });
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
