// The numbers of a network for one input, and its sums as rounded numbers that add up.
//
//   network  { sizes: of the layers, such as [784, 40, 10]; weights: matrices, row by row; inputs;
//            targets; inactive: the ReLU's slope for inactive units; rate; nameOf(layer, place) }
//
// To be shown, it also has nouns for the layers, classes for the scores, and the image's pixels.

// The sums of a layer: the values of the previous layer, times the weights.
function multiply(values, matrix, size) {
  const sums = new Float64Array(size);
  values.forEach((value, from) => {
    if (value === 0) return;
    for (let to = 0; to < size; to++) sums[to] += value * matrix[from * size + to];
  });
  return sums;
}

// The error signals of a layer before they are multiplied by the slopes.
function multiplyBack(signals, matrix, size) {
  const width = signals.length;
  return Float64Array.from({ length: size }, (_, from) =>
    signals.reduce((sum, signal, to) => sum + signal * matrix[from * width + to], 0),
  );
}

// Adds to a network, for each layer: sums, values (after the ReLU), back (sums of error
// signals) and signals (these sums times the slopes of the ReLU).
export function measure(network) {
  const { sizes, weights, inputs, targets, inactive } = network;
  const last = weights.length;
  const sums = [inputs];
  const values = [inputs];
  for (let layer = 1; layer <= last; layer++) {
    sums[layer] = multiply(values[layer - 1], weights[layer - 1], sizes[layer]);
    values[layer] = layer < last ? sums[layer].map((sum) => Math.max(0, sum)) : sums[layer];
  }
  const back = [];
  const signals = [];
  back[last] = sums[last].map((score, place) => score - targets[place]);
  signals[last] = back[last];
  for (let layer = last - 1; layer > 0; layer--) {
    const findSlope = (h) => (values[layer][h] > 0 ? 1 : inactive);
    back[layer] = multiplyBack(signals[layer + 1], weights[layer], sizes[layer]);
    signals[layer] = back[layer].map((sum, h) => sum * findSlope(h));
  }
  return { ...network, sums, values, back, signals };
}

// The network after one step: each weight minus the learning rate times its slope.
export function makeStep(network) {
  const { values, signals, rate } = network;
  const weights = network.weights.map((matrix, before) => {
    const size = network.sizes[before + 1];
    return matrix.map((weight, at) => {
      const slope = values[before][Math.floor(at / size)] * signals[before + 1][at % size];
      return weight - rate * slope;
    });
  });
  return measure({ ...network, weights });
}

// The loss: half the squared error.
export const findLoss = ({ signals }) =>
  signals.at(-1).reduce((sum, signal) => sum + signal * signal, 0) / 2;

export const listPlaces = ({ sizes }) =>
  sizes.flatMap((size, layer) => Array.from({ length: size }, (_, place) => [layer, place]));

export const listWeights = ({ sizes }) =>
  sizes.slice(1).flatMap((size, before) =>
    Array.from({ length: size * sizes[before] }, (_, at) => ({
      layer: before + 1,
      from: Math.floor(at / size),
      to: at % size,
    })),
  );

// A weight, with the factors of its product and of its slope. layer: the layer where it ends.
export function findWeight({ sizes, weights, values, signals }, layer, from, to) {
  const at = from * sizes[layer] + to;
  const weight = weights[layer - 1][at];
  const input = values[layer - 1][from];
  const signal = signals[layer][to];
  return { layer, from, to, at, weight, input, signal, slope: input * signal };
}

// A term of a sum: a weight, its product, and the name of the place of the other factor.
function makeTerm(network, found, factor, layer, place) {
  const factors = [factor, found.weight];
  return { ...found, factors, product: factor * found.weight, name: network.nameOf(layer, place) };
}

// The products that a sum is made of.
export const findProducts = (network, layer, to) =>
  Array.from({ length: network.sizes[layer - 1] }, (_, from) => {
    const found = findWeight(network, layer, from, to);
    return makeTerm(network, found, found.input, layer - 1, from);
  });

// The products that the error signal of a unit is made of.
export const findProductsBack = (network, layer, from) =>
  Array.from({ length: network.sizes[layer + 1] }, (_, to) => {
    const found = findWeight(network, layer + 1, from, to);
    return makeTerm(network, found, found.signal, layer + 1, to);
  });

const DIGITS_SHOWN = 1000; // three digits after the decimal point

// A number as a sum shows it.
export const round = (value) => Math.round(value * DIGITS_SHOWN) / DIGITS_SHOWN + 0;

// The difference between a total and the sum of its terms when all of them are shown rounded.
export function findRest(terms, total) {
  const sum = terms.reduce((units, { product }) => units + Math.round(product * DIGITS_SHOWN), 0);
  return (Math.round(total * DIGITS_SHOWN) - sum) / DIGITS_SHOWN;
}

// The loss over one weight, while the others stay the same: a list of [weight, loss].
export function findCurve(network, { layer, at }, places) {
  const weights = [...network.weights];
  const matrix = Float64Array.from(weights[layer - 1]);
  weights[layer - 1] = matrix;
  return places.map((place) => {
    matrix[at] = place;
    return [place, findLoss(measure({ ...network, weights }))];
  });
}

// The bottom of a weight's curve, if it has one, and how far to both sides a picture of the curve
// has to reach to show the weight and its next step.
export function findReach(network, weight) {
  const now = weight.weight;
  const h = 1e-3;
  const curve = findCurve(network, weight, [now - h, now, now + h]);
  const [low, middle, high] = curve.map(([, loss]) => loss);
  const curvature = (low - 2 * middle + high) / h ** 2;
  const toBottom = curvature > 1e-6 ? (low - high) / (2 * h) / curvature : 0;
  const centre = now + toBottom;
  const next = now - network.rate * weight.slope;
  const reach = Math.max(1.75 * Math.abs(toBottom), 1.25 * Math.abs(next - centre));
  return [centre, reach > 1e-6 ? reach : 1];
}
