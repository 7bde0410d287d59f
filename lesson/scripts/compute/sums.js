// Computes all numbers of a network for one input, and lists the terms of its sums, rounded.
//
//   network  { sizes: of the layers, such as [784, 40, 10]; weights: matrices, row by row; inputs;
//            targets; inactiveSlope: the ReLU's slope for inactive units; rate: the learning rate;
//            nameOf(layer, place) }
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
  const { sizes, weights, inputs, targets, inactiveSlope } = network;
  const last = weights.length; // weights[0] lead from layer 0 to layer 1, and so on
  const sums = [inputs];
  const values = [inputs];
  for (let layer = 0; layer < last; layer++) {
    const next = layer + 1;
    sums[next] = multiply(values[layer], weights[layer], sizes[next]);
    values[next] = next < last ? sums[next].map((sum) => Math.max(0, sum)) : sums[next];
  }
  const back = [];
  const signals = [];
  back[last] = sums[last].map((score, place) => score - targets[place]);
  signals[last] = back[last];
  for (let layer = last - 1; layer > 0; layer--) {
    const next = layer + 1;
    const slopes = values[layer].map((value) => (value > 0 ? 1 : inactiveSlope));
    back[layer] = multiplyBack(signals[next], weights[layer], sizes[layer]);
    signals[layer] = back[layer].map((sum, place) => sum * slopes[place]);
  }
  return { ...network, sums, values, back, signals };
}

// Returns the network after one step: each weight minus the learning rate times its slope.
export function makeStep(network) {
  const { values, signals, rate } = network;
  const weights = network.weights.map((matrix, layer) => {
    const next = layer + 1;
    const size = network.sizes[next]; // of a row of the matrix
    return matrix.map((weight, at) => {
      const input = values[layer][Math.floor(at / size)];
      const signal = signals[next][at % size];
      return weight - rate * (input * signal);
    });
  });
  return measure({ ...network, weights });
}

// Returns the loss: half the squared error.
export const findLoss = ({ signals }) =>
  signals.at(-1).reduce((sum, signal) => sum + signal * signal, 0) / 2;

export const listPlaces = ({ sizes }) =>
  sizes.flatMap((size, layer) => Array.from({ length: size }, (_, place) => ({ layer, place })));

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
  return { ...found, factor, product: factor * found.weight, name: network.nameOf(layer, place) };
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

const UNITS = 1000; // in 1: sums show three digits after the decimal point

// Returns a number rounded as sums show it, and never as -0.
export const round = (value) => Math.round(value * UNITS) / UNITS + 0;

// Returns the difference between the rounded total and the sum of its rounded terms.
export function findRest(terms, total) {
  const sum = terms.reduce((units, { product }) => units + Math.round(product * UNITS), 0);
  return (Math.round(total * UNITS) - sum) / UNITS;
}

// Returns the losses that several values of one weight would give. All other weights stay the same.
export function findLosses(network, { layer, at }, values) {
  return values.map((value) => {
    const weights = [...network.weights];
    const changed = Float64Array.from(weights[layer - 1]);
    changed[at] = value;
    weights[layer - 1] = changed;
    return findLoss(measure({ ...network, weights }));
  });
}

const NEARLY_ZERO = 1e-6;

// Returns the centre of a picture of a weight's curve, and how far the picture has to reach to both
// sides to show the weight and its next step, with some room beside them. The centre is the bottom
// of the curve, or the weight itself if the curve has no bottom.
export function findReach(network, weight) {
  const now = weight.weight;
  const h = 1e-3; // the distance over which the loss is compared
  const [low, middle, high] = findLosses(network, weight, [now - h, now, now + h]);
  const slope = (high - low) / (2 * h);
  const curvature = (low - 2 * middle + high) / h ** 2;
  const toBottom = curvature > NEARLY_ZERO ? -slope / curvature : 0;
  const centre = now + toBottom;
  const next = now - network.rate * weight.slope;
  const reach = Math.max(1.75 * Math.abs(toBottom), 1.25 * Math.abs(next - centre));
  return { centre, reach: reach > NEARLY_ZERO ? reach : 1 };
}
