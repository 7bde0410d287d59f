// Computes all numbers of a network for one input, and lists the terms of its sums, rounded.
//
//   network  { sizes: of the layers, such as [784, 40, 10]; weights: matrices, row by row; inputs;
//            targets; inactive: the ReLU's slope for inactive units; rate; nameOf(layer, place) }
//
// To be drawn, a network also has either nouns, the names of its layers, or classes, the names of
// its scores, and pixels, those of the image.

// Returns the sums of a layer: the values of the previous layer, times the weights.
function multiply(values, matrix, size) {
  const sums = new Float64Array(size);
  values.forEach((value, from) => {
    if (value === 0) return;
    for (let to = 0; to < size; to++) sums[to] += value * matrix[from * size + to];
  });
  return sums;
}

// Returns the error signals of a layer before they are multiplied by the slopes of the ReLU.
function multiplyBack(signals, matrix, size) {
  const width = signals.length;
  return Float64Array.from({ length: size }, (_, from) =>
    signals.reduce((sum, signal, to) => sum + signal * matrix[from * width + to], 0),
  );
}

// Returns a network with four more lists, each with an item for each layer: sums, values (the sums
// after the ReLU), back (the sums of error signals) and signals (back, times the ReLU's slopes).
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

// Returns the network after one step: each weight minus the learning rate times its slope.
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

// Returns the loss: half the squared error.
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

// Returns a weight with its input, its error signal, and its slope, which is their product. layer:
// the layer where the weight ends.
export function findWeight({ sizes, weights, values, signals }, layer, from, to) {
  const at = from * sizes[layer] + to;
  const weight = weights[layer - 1][at];
  const input = values[layer - 1][from];
  const signal = signals[layer][to];
  return { layer, from, to, at, weight, input, signal, slope: input * signal };
}

// Returns a term of a sum: a weight, the other factor, their product, and the name of the place
// that has the other factor.
function makeTerm(network, found, factor, layer, place) {
  const factors = [factor, found.weight];
  return { ...found, factors, product: factor * found.weight, name: network.nameOf(layer, place) };
}

// Returns the products that add up to the sum of a unit or of a score.
export const findProducts = (network, layer, to) =>
  Array.from({ length: network.sizes[layer - 1] }, (_, from) => {
    const found = findWeight(network, layer, from, to);
    return makeTerm(network, found, found.input, layer - 1, from);
  });

// Returns the products that add up to the sum of error signals of a unit.
export const findProductsBack = (network, layer, from) =>
  Array.from({ length: network.sizes[layer + 1] }, (_, to) => {
    const found = findWeight(network, layer + 1, from, to);
    return makeTerm(network, found, found.signal, layer + 1, to);
  });

const DIGITS_SHOWN = 1000; // three digits after the decimal point

// Returns a number rounded as sums show it.
export const round = (value) => Math.round(value * DIGITS_SHOWN) / DIGITS_SHOWN + 0;

// Returns the difference between the rounded total and the sum of its rounded terms.
export function findRest(terms, total) {
  const sum = terms.reduce((units, { product }) => units + Math.round(product * DIGITS_SHOWN), 0);
  return (Math.round(total * DIGITS_SHOWN) - sum) / DIGITS_SHOWN;
}

// Returns the loss at several places of one weight, as a list of [weight, loss]. All other weights
// stay the same.
export function findCurve(network, { layer, at }, places) {
  const weights = [...network.weights];
  const matrix = Float64Array.from(weights[layer - 1]);
  weights[layer - 1] = matrix;
  return places.map((place) => {
    matrix[at] = place;
    return [place, findLoss(measure({ ...network, weights }))];
  });
}

// Returns the centre of a picture of a weight's curve, and how far the picture has to reach to both
// sides to show the weight and its next step. The centre is the bottom of the curve, or the weight
// itself if the curve has no bottom.
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
