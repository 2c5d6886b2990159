// How one number of a layer came about. The arrays come from tinymnist; nothing is computed here
// but the multiply-adds of one output, in the order in which a person would write them down.
import { at, asPictures, pixel, size } from "./arrays.js";

// The number at [row, column, channel] of a layer, taken apart.
//   inputs: the arrays of its sources; output: its own; weights: its arrays by name.
export function takeApart(layer, inputs, output, weights, [row, column, channel]) {
  const x = inputs[0];
  const value = pixel(output, row, column, channel);
  const kind = layer.class;
  if (layer.windows && weights.kernel) return convolution(layer, x, weights, [row, column, channel], value);
  if (layer.windows) return pooling(layer, x, [row, column, channel], value);
  if (kind === "Dense") return dense(x, weights, column, layer, value);
  if (kind === "BatchNormalization") {
    const [mean, variance, gamma, beta] = ["moving_mean", "moving_variance", "gamma", "beta"].map(
      (name) => weights[name].data[channel],
    );
    const given = pixel(x, row, column, channel);
    return { kind: "batchnorm", given, mean, variance, gamma, beta, epsilon: layer.config.epsilon, value };
  }
  if (kind.startsWith("Global")) {
    const { h, w } = asPictures(x);
    const values = [];
    for (let r = 0; r < h; r++) for (let c = 0; c < w; c++) values.push(pixel(x, r, c, column));
    return { kind: "global", values, shape: [h, w], isMax: kind.includes("Max"), channel: column, value };
  }
  const same = x && size(x.shape) === size(output.shape);
  const place = (row * asPictures(output).w + column) * asPictures(output).c + channel;
  return { kind: "same", given: same ? inputs.map((input) => input.data[place]) : null, value };
}

function convolution(layer, x, weights, [row, column, channel], value) {
  const { strides, dilation, pads } = layer.windows;
  const [kh, kw, depth, filters] = weights.kernel.shape;
  const first = Math.floor(channel / (filters / layer.groups)) * depth; // channel of x
  const top = row * strides[0] - pads[0][0];
  const left = column * strides[1] - pads[1][0];
  const parts = [];
  let sum = 0;
  for (let j = 0; j < depth; j++) {
    const part = { channel: first + j, patch: [], kernel: [], products: [], sum: 0 };
    for (let a = 0; a < kh; a++) {
      for (let b = 0; b < kw; b++) {
        const input = at(x, top + a * dilation[0], left + b * dilation[1], first + j);
        const weight = at(weights.kernel, a, b, j, channel);
        part.patch.push(input);
        part.kernel.push(weight);
        part.products.push(input * weight);
        part.sum += input * weight;
      }
    }
    sum += part.sum;
    parts.push(part);
  }
  const bias = weights.bias ? weights.bias.data[channel] : null;
  return { kind: "convolution", size: [kh, kw], parts, ...total(sum, bias, layer, value) };
}

function pooling(layer, x, [row, column, channel], value) {
  const { kernel, strides, pads } = layer.windows;
  const top = row * strides[0] - pads[0][0];
  const left = column * strides[1] - pads[1][0];
  const values = [];
  for (let a = 0; a < kernel[0]; a++) {
    for (let b = 0; b < kernel[1]; b++) {
      const [r, c] = [top + a, left + b];
      const inside = r >= 0 && c >= 0 && r < x.shape[0] && c < x.shape[1];
      values.push(inside ? pixel(x, r, c, channel) : null);
    }
  }
  return { kind: "pooling", size: kernel, values, isMax: layer.class.includes("Max"), value };
}

function dense(x, weights, unit, layer, value) {
  const units = weights.kernel.shape[1];
  const products = [];
  let sum = 0;
  for (let i = 0; i < x.data.length; i++) {
    const product = x.data[i] * weights.kernel.data[i * units + unit];
    products.push(product);
    sum += product;
  }
  const bias = weights.bias ? weights.bias.data[unit] : null;
  const column = products.map((_, i) => weights.kernel.data[i * units + unit]);
  return { kind: "dense", inputs: x.data, column, products, ...total(sum, bias, layer, value) };
}

// The end of a sum: with the bias, before the activation, and after it. tinymnist adds in float32
// and in blocks, this file in float64 and in order; where tinymnist's own number is at hand, it is
// the one that counts.
function total(sum, bias, layer, value) {
  const activation = layer.config.activation;
  const isKnown = activation === "linear" || (activation === "relu" && value > 0);
  const before = isKnown ? value : sum + (bias ?? 0);
  return { sum: bias === null ? before : sum, bias, before, activation, value };
}

// Every step of the softmax: z - max, exp, the sum, the share. No overflow, whatever z is.
export function softmaxSteps(logits) {
  const top = Math.max(...logits);
  const shifted = logits.map((z) => z - top);
  const powers = shifted.map(Math.exp);
  const sum = powers.reduce((a, b) => a + b, 0);
  return { top, shifted, powers, sum, shares: powers.map((power) => power / sum) };
}

// Which part of every earlier layer one output depends on: {name: [top, left, bottom, right]},
// the ends exclusive. What mixes everything (Dense) depends on all of it.
export function receptiveField(model, name, [row, column]) {
  const layers = new Map(model.layers.map((layer) => [layer.name, layer]));
  const shapes = new Map([["input", model.input_shape], ...model.layers.map((la) => [la.name, la.shape])]);
  const found = new Map([[name, [row, column, row + 1, column + 1]]]);
  for (const layer of [...model.layers].reverse()) {
    const box = found.get(layer.name);
    if (!box) continue;
    for (const source of layer.sources) {
      const below = boxBelow(layer, box, shapes.get(source));
      const known = found.get(source);
      found.set(source, known ? unite(known, below) : below);
    }
  }
  return { boxes: found, order: ["input", ...layers.keys()].filter((key) => found.has(key)) };
}

function boxBelow(layer, [top, left, bottom, right], shape) {
  const { h, w } = asPictures({ shape });
  if (layer.windows) {
    const { kernel, strides, dilation, pads } = layer.windows;
    const reach = (start, end, axis) => [
      start * strides[axis] - pads[axis][0],
      (end - 1) * strides[axis] - pads[axis][0] + (kernel[axis] - 1) * dilation[axis] + 1,
    ];
    const [r, c] = [reach(top, bottom, 0), reach(left, right, 1)];
    return [Math.max(r[0], 0), Math.max(c[0], 0), Math.min(r[1], h), Math.min(c[1], w)];
  }
  if (layer.class === "Flatten" && right - left === 1 && shape.length === 3) {
    const place = Math.floor(left / shape[2]); // row-major over (h, w, c)
    const [r, c] = [Math.floor(place / w), place % w];
    return [r, c, r + 1, c + 1];
  }
  const mixes = ["Dense", "Flatten", "Reshape", "Permute"].includes(layer.class) || layer.class.startsWith("Global");
  if (mixes || shape.length !== layer.shape.length) return [0, 0, h, w];
  return [top, left, Math.min(bottom, h), Math.min(right, w)];
}

const unite = (a, b) => [
  Math.min(a[0], b[0]),
  Math.min(a[1], b[1]),
  Math.max(a[2], b[2]),
  Math.max(a[3], b[3]),
];
