// A layer's kernel as pictures.
import { largest, size } from "./arrays.js";
import { h } from "./dom.js";
import { edited } from "./inspector.js";
import { paint, signed } from "./paint.js";
import { set, state } from "./state.js";

const MOST = 128;

// Of a convolution that sees one map: every filter. Of others: what the filter at hand has for each
// input map. Of a unit: its weights, if they lie over a picture.
export function kernels(layer, [, column, channel]) {
  const weights = state.weights[layer.name];
  if (!weights?.kernel) return null;
  const kernel = edited(layer, weights).kernel;
  const colour = signed(largest(kernel));
  const gallery = (title, tiles) => h("section", { class: "gallery" }, h("h3", {}, title), h("div", { class: "maps" }, tiles));
  if (kernel.shape.length === 2) return picture(layer, kernel, column, colour, gallery);
  const [rows, columns, depth, filters] = kernel.shape;
  const tile = (j, k, label, onclick) => {
    const canvas = paint(h("canvas", { class: "pixels" }), { shape: [rows, columns], data: slice(kernel, j, k) }, 0, colour);
    return h(onclick ? "button" : "span", { class: "map", type: onclick && "button", role: onclick ? null : "img", "aria-label": label, title: label, onclick }, canvas);
  };
  if (depth === 1) {
    const choose = (k) => () => set({ unit: [state.unit?.[0] ?? 0, state.unit?.[1] ?? 0, k] });
    return gallery("The kernels", Array.from({ length: Math.min(filters, MOST) }, (_, k) => tile(0, k, `Kernel of map ${k}`, choose(k))));
  }
  const title = `The kernels of map ${channel}, one for each of ${depth} input maps`;
  return gallery(title, Array.from({ length: Math.min(depth, MOST) }, (_, j) => tile(j, channel, `Kernel for input map ${j}`)));
}

function slice(kernel, j, k) {
  const [rows, columns, depth, filters] = kernel.shape;
  return Float32Array.from({ length: rows * columns }, (_, i) => kernel.data[(i * depth + j) * filters + k]);
}

function picture(layer, kernel, unit, colour, gallery) {
  const below = state.description.layers.find((one) => one.name === layer.sources[0]);
  const source = below?.class === "Flatten" ? below.sources[0] : layer.sources[0];
  const shape = source === "input" ? state.description.input_shape : state.description.layers.find((one) => one.name === source).shape;
  if (shape.length !== 3 || size(shape) !== kernel.shape[0]) return null;
  const own = { shape, data: Float32Array.from({ length: kernel.shape[0] }, (_, i) => kernel.data[i * kernel.shape[1] + unit]) };
  return gallery(`The weights of unit ${unit}, laid over what they multiply`, Array.from({ length: Math.min(shape[2], MOST) }, (_, k) =>
    h("span", { class: "map wide", role: "img", "aria-label": `Weights for map ${k}` }, paint(h("canvas", { class: "pixels" }), own, k, colour))));
}
