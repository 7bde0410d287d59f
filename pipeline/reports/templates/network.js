// The network of pipeline/compiled.py in JavaScript: the same sums in the same order on the same doubles, so the same bits.
//
//   images   Uint8Array, 784 pixels an image      labels   Uint8Array, a digit an image
//   weights  { first: Float64Array, 784 rows of H; second: Float64Array, H rows of 10 }

export const [PIXELS, DIGITS] = [784, 10];

// NumPy's legacy RandomState, a Mersenne Twister (M. Matsumoto and T. Nishimura 1998), seeded by a number or a list of them.
export class RandomState {
  constructor(seed) {
    this.state = new Uint32Array(624);
    typeof seed === "number" ? this.#seed(seed) : this.#seedByList(seed);
    this.at = 624;
  }

  #seed(number) {
    const s = this.state;
    s[0] = number;
    for (let i = 1; i < 624; i++) s[i] = Math.imul(1812433253, s[i - 1] ^ (s[i - 1] >>> 30)) + i;
  }

  #seedByList(list) {
    const s = this.state;
    this.#seed(19650218);
    let [i, j] = [1, 0];
    for (let k = Math.max(624, list.length) + 623; k > 0; k--) {
      const [factor, more] = k > 623 ? [1664525, list[j] + j] : [1566083941, -i];
      s[i] = (s[i] ^ Math.imul(s[i - 1] ^ (s[i - 1] >>> 30), factor)) + more;
      j = (j + 1) % list.length;
      if (++i === 624) [s[0], i] = [s[623], 1];
    }
    s[0] = 0x80000000;
  }

  // 32 random bits.
  next() {
    const s = this.state;
    if (this.at === 624) {
      for (let i = 0; i < 624; i++) {
        const y = (s[i] & 0x80000000) | (s[(i + 1) % 624] & 0x7fffffff);
        s[i] = s[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      this.at = 0;
    }
    let y = s[this.at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  // A number from 0 to below 1, with 53 random bits.
  sample() {
    const high = this.next() >>> 5;
    return (high * 67108864 + (this.next() >>> 6)) / 9007199254740992;
  }
}

export function initialWeights(rng, hiddenSize) {
  const draw = (count) => Float64Array.from({ length: count }, () => -0.1 + 0.2 * rng.sample());
  const first = draw(PIXELS * hiddenSize);
  return { first, second: draw(hiddenSize * DIGITS) };
}

function drawMask(rng, mask, rate) {
  for (let h = 0; h < mask.length; h++) {
    if (rate === 0) mask[h] = 1;
    else if (rate === 0.5) mask[h] = 2 * (rng.next() & 1);
    else mask[h] = rng.sample() >= rate ? 1 / (1 - rate) : 0;
  }
}

// Computes the hidden units and the scores of one image, in place, and returns the places of the pixels that are not 0.
// Four units at a time, so that their sums stay in registers; what is computed beyond the last is written nowhere.
export function forward(image, scaled, { first, second }, mask, hidden, scores) {
  const [size, places, values] = [hidden.length, [], []];
  for (let p = 0; p < PIXELS; p++) {
    if (image[p] === 0) continue;
    places.push(p);
    values.push(scaled[image[p]]);
  }
  for (let h = 0; h < size; h += 4) {
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let k = 0; k < places.length; k++) {
      const value = values[k];
      const at = places[k] * size + h; // a pair in brackets would be made anew each time, in Firefox
      a += value * first[at];
      b += value * first[at + 1];
      c += value * first[at + 2];
      d += value * first[at + 3];
    }
    [hidden[h], hidden[h + 1], hidden[h + 2], hidden[h + 3]] = [a, b, c, d];
  }
  scores.fill(0);
  for (let h = 0; h < size; h++) {
    hidden[h] = Math.max(0, hidden[h]) * mask[h];
    for (let d = 0; d < DIGITS; d++) scores[d] += hidden[h] * second[h * DIGITS + d];
  }
  return places;
}

export const largest = (scores) =>
  scores.reduce((best, score, d) => (score > scores[best] ? d : best), 0);
export const scales = (divisor) =>
  Float64Array.from({ length: 256 }, (_, value) => value / divisor);

// Moves the weights against the gradient of one image, after `forward`. delta: scores minus targets. Writes signal, the
// error signals of the hidden units.
export function update(
  { first, second },
  image,
  scaled,
  places,
  mask,
  hidden,
  delta,
  signal,
  rate,
  inactive,
) {
  const size = hidden.length;
  for (let h = 0; h < size; h++) {
    const [row, step] = [h * DIGITS, rate * hidden[h]];
    let back = 0;
    for (let d = 0; d < DIGITS; d++) back += delta[d] * second[row + d];
    signal[h] = back * (hidden[h] > 0 ? 1 : inactive) * mask[h];
    for (let d = 0; d < DIGITS; d++) second[row + d] -= step * delta[d];
  }
  for (const p of places) {
    const row = p * size;
    const step = rate * scaled[image[p]];
    for (let h = 0; h < size; h++) first[row + h] -= step * signal[h];
  }
}

// A training with the parameters of 02_train, for batch_size 1. Each call of `next` makes one update and leaves what it
// was made of. error and correct are sums over the epoch so far, measured under dropout.
export class Training {
  constructor(images, labels, parameters) {
    const [vector, { seed, hidden_size: size, input_dropout_rate: dropped }] = [
      (n) => new Float64Array(n),
      parameters,
    ];
    Object.assign(this, {
      images,
      labels,
      parameters,
      epoch: 1,
      place: 0,
      error: 0,
      correct: 0,
      rate: parameters.learning_rate,
    });
    [this.rng, this.inputRng] = [new RandomState(seed), new RandomState([seed, 1])];
    [this.weights, this.image] = [initialWeights(this.rng, size), new Uint8Array(PIXELS)];
    [this.hidden, this.signal, this.mask, this.scores, this.delta] = [
      size,
      size,
      size,
      DIGITS,
      DIGITS,
    ].map(vector);
    this.scaled = scales(parameters.normalisation * (1 - dropped));
  }

  next() {
    const { labels, parameters, image, scaled, weights, mask, hidden, scores, delta, signal } =
      this;
    if (this.place === labels.length) {
      [this.epoch, this.place, this.error, this.correct] = [this.epoch + 1, 0, 0, 0];
      this.rate *= parameters.learning_rate_decay;
    }
    const [i, dropped] = [this.place++, parameters.input_dropout_rate];
    image.set(this.images.subarray(i * PIXELS, (i + 1) * PIXELS));
    if (dropped > 0)
      for (let p = 0; p < PIXELS; p++) if (this.inputRng.sample() < dropped) image[p] = 0;
    drawMask(this.rng, mask, parameters.dropout_rate);
    const places = forward(image, scaled, weights, mask, hidden, scores);
    this.correct += largest(scores) === labels[i];
    for (let d = 0; d < DIGITS; d++) {
      delta[d] = scores[d] - (d === labels[i]);
      this.error += delta[d] * delta[d];
    }
    update(
      weights,
      image,
      scaled,
      places,
      mask,
      hidden,
      delta,
      signal,
      this.rate,
      parameters.relu_grad_inactive,
    );
  }
}

// Error and accuracy without dropout.
export function evaluate(images, labels, weights, normalisation) {
  const [hidden, scores] = [
    new Float64Array(weights.second.length / DIGITS),
    new Float64Array(DIGITS),
  ];
  const [mask, scaled] = [hidden.map(() => 1), scales(normalisation)];
  let [error, correct] = [0, 0];
  for (let i = 0; i < labels.length; i++) {
    forward(images.subarray(i * PIXELS, (i + 1) * PIXELS), scaled, weights, mask, hidden, scores);
    for (let d = 0; d < DIGITS; d++) {
      const delta = scores[d] - (d === labels[i]);
      error += delta * delta;
    }
    correct += largest(scores) === labels[i];
  }
  return [error / labels.length, correct / labels.length];
}

// Trains to the end, and yields after each epoch. The weights change in place.
export function* train(images, labels, parameters) {
  const training = new Training(images, labels, parameters);
  for (let epoch = 1; epoch <= parameters.epochs; epoch++) {
    do training.next();
    while (training.place < labels.length);
    yield {
      epoch,
      error: training.error / labels.length,
      accuracy: training.correct / labels.length,
      weights: training.weights,
    };
  }
}

// SHA-256 (FIPS 180-4) of some bytes, as text. Browsers have one, but not on every page: not on one opened from a disk.
export function sha256(bytes) {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
  const constants = primes.map((p) => fraction(Math.cbrt(p)));
  const sums = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));
  const padded = new Uint8Array((((bytes.length + 8) >> 6) + 1) << 6);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const [view, words] = [new DataView(padded.buffer), new Int32Array(64)];
  view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  const turn = (x, by) => (x >>> by) | (x << (32 - by));
  for (let block = 0; block < padded.length; block += 64) {
    for (let t = 0; t < 16; t++) words[t] = view.getInt32(block + 4 * t);
    for (let t = 16; t < 64; t++) {
      const [x, y] = [words[t - 15], words[t - 2]];
      words[t] =
        words[t - 16] +
        (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) +
        words[t - 7] +
        (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = sums;
    for (let t = 0; t < 64; t++) {
      const one =
        (h +
          (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) +
          ((e & f) ^ (~e & g)) +
          constants[t] +
          words[t]) |
        0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => {
      sums[i] += value;
    });
  }
  return Array.from(sums, (sum) => (sum >>> 0).toString(16).padStart(8, "0")).join("");
}

// The digest of weights that the project quotes: of their little-endian bytes, the first matrix before the second.
export function digestOf({ first, second }) {
  const bytes = new DataView(new ArrayBuffer(8 * (first.length + second.length)));
  [...first, ...second].forEach((weight, i) => bytes.setFloat64(8 * i, weight, true));
  return sha256(new Uint8Array(bytes.buffer));
}
