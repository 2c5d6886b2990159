// Every layer's maps and kernels; one output taken apart, and what it sees of the photo.
import { asPictures, largest, meanMap, pixel, strongest } from "./arrays.js";
import { receptiveField } from "./arithmetic.js";
import { $, fill, h, number } from "./dom.js";
import { inspect } from "./inspector.js";
import { kernels } from "./kernels.js";
import { frame, paint, picture, pointed, signed } from "./paint.js";
import { weightsOf } from "./weights.js";
import { set, state } from "./state.js";

export const title = "Layers";
export const purpose =
  "Every number that each layer computes; point at one to see the patch, the kernel and each multiply-add behind it.";
export const needs = ["run", "layer", "unit", "weights", "description"];
const MOST_MAPS = 128;

let unit = [0, 0, 0]; // the output that is taken apart
let shown = []; // what the maps were drawn from

const shapeText = (shape) => shape.join("×");

export function render(box) {
  const { run, description } = state;
  if (!run || !description) return box.replaceChildren(h("p", { class: "quiet" }, "There is no picture in the network yet."));
  const layer = description.layers.find((la) => la.name === state.layer);
  if (!run.maps[layer.name]) return box.replaceChildren(layerList(), h("p", {}, "This layer is too large for a page."));
  if (Object.keys(layer.arrays).length && !state.weights[layer.name]) weightsOf(layer.name);
  unit = clamp(state.unit ?? strongest(run.maps[layer.name]), run.maps[layer.name]);
  const known = $(".layerlist", box);
  const isSame = known?.dataset.model === description.name;
  const wanted = [run, layer, state.off, document.documentElement.dataset.theme];
  const focused = document.activeElement?.id;
  if (isSame && wanted.every((one, i) => one === shown[i])) {
    for (const tile of box.querySelectorAll(".maps .map, .cells .cell")) {
      tile.setAttribute("aria-pressed", tile.id === `map-${unit[2]}` || tile.id === `cell-${unit[1]}`);
    }
  } else {
    const list = isSame ? known : layerList();
    mark(list);
    box.replaceChildren(list, h("div", { class: "detail" }, heading(layer), maps(layer), h("div", { class: "closer", id: "closer" })));
    shown = wanted;
  }
  closer($("#closer", box), layer);
  if (focused && document.activeElement?.id !== focused) $(`#${CSS.escape(focused)}`, box)?.focus({ preventScroll: true });
}

function layerList() {
  return h("ol", { class: "layerlist", "aria-label": "Layers", "data-model": state.description.name }, state.description.layers.map((layer) =>
    h("li", {}, h("button", { type: "button", id: `layer-${layer.name}`, "data-layer": layer.name, onclick: () => set({ layer: layer.name, unit: null }) },
      h("b", {}, layer.name), h("small", {}, `${layer.class} → ${shapeText(layer.shape)}`)))));
}

function mark(list) {
  for (const button of list.querySelectorAll("button")) {
    button.setAttribute("aria-current", button.dataset.layer === state.layer);
  }
}

function heading(layer) {
  const arrays = Object.entries(layer.arrays).map(([name, shape]) => `${name} ${shapeText(shape)}`);
  const work = layer.multiply_adds ? `${layer.multiply_adds.toLocaleString("en")} multiply-adds` : "no multiplication";
  return h("p", { class: "facts" }, h("b", {}, layer.class), ` takes ${layer.sources.join(", ")} · gives ${shapeText(layer.shape)} · ${work}`,
    arrays.length ? ` · ${arrays.join(", ")}` : "");
}

function maps(layer) {
  const output = state.run.maps[layer.name];
  const { c, h: height } = asPictures(output);
  if (height === 1) return vector(layer, output);
  const colour = signed(largest(output));
  const off = new Set(state.off.filter(([name]) => name === layer.name).map(([, channel]) => channel));
  const tiles = Array.from({ length: Math.min(c, MOST_MAPS) }, (_, channel) =>
    h("button", {
      type: "button", class: off.has(channel) ? "map off" : "map", "aria-pressed": channel === unit[2], id: `map-${channel}`,
      "aria-label": `Map ${channel} of ${layer.name}`, title: `map ${channel}`,
      onclick: () => set({ unit: [unit[0], unit[1], channel] }),
    }, paint(h("canvas", { class: "pixels" }), output, channel, colour)));
  return h("div", { class: "maps" }, tiles);
}

function vector(layer, output) {
  const colour = signed(largest(output));
  const cells = Array.from(output.data.slice(0, 256), (value, i) =>
    h("button", {
      type: "button", class: "cell", style: { background: `rgb(${colour(value).join(" ")})` }, "aria-pressed": i === unit[1], id: `cell-${i}`,
      "aria-label": `Output ${i} of ${layer.name}: ${number(value)}`, title: `${i}: ${number(value)}`,
      onclick: () => set({ unit: [0, i, 0] }), onmouseenter: () => set({ unit: [0, i, 0] }),
    }));
  return h("div", { class: "cells" }, cells);
}

// One map, large; the pixel pointed at; its numbers; its field in every earlier layer.
function closer(box, layer) {
  const output = state.run.maps[layer.name];
  const { h: height, w: width } = asPictures(output);
  const large = h("canvas", { class: "pixels", tabindex: "0", id: "bigmap", role: "img", "aria-label":
    `Map ${unit[2]} of ${layer.name}; the arrow keys choose a pixel. Row ${unit[0]}, column ${unit[1]}: ${number(pixel(output, ...unit))}` });
  paint(large, output, unit[2], signed(largest(output)));
  const move = (row, column) => set({ unit: [row, column, unit[2]] });
  large.addEventListener("pointermove", (event) => {
    const [row, column] = pointed(event, large);
    if (row !== unit[0] || column !== unit[1]) move(row, column);
  });
  large.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const [row, column] = clamp([unit[0] + step[0], unit[1] + step[1], unit[2]], output);
    move(row, column);
  });
  const single = [unit[0], unit[1], unit[0] + 1, unit[1] + 1];
  fill(box,
    height > 1 && h("figure", { class: "large" },
      h("div", { class: "over" }, large, frame(single, height, width)),
      h("figcaption", {}, `map ${unit[2]}, row ${unit[0]}, column ${unit[1]}`)),
    h("div", { class: "fields" }, h("h3", {}, "What this number depends on"), fields(layer)),
    h("div", { class: "sums", id: "sums", "aria-live": "polite" }, inspect(layer, unit)),
    kernels(layer, unit),
  );
}

function clamp(place, array) {
  const { h: height, w: width, c } = asPictures(array);
  return place.map((value, axis) => Math.min(Math.max(value, 0), [height, width, c][axis] - 1));
}

function fields(layer) {
  const { boxes, order } = receptiveField(state.description, layer.name, unit);
  const shown = order.filter((name) => name !== layer.name);
  const figures = shown.reverse().map((name) => {
    const array = state.run.maps[name];
    if (!array) return null;
    const { h: height, w: width } = asPictures(array);
    if (height === 1) return h("figure", {}, h("div", { class: "all" }, `${array.data.length}`), h("figcaption", {}, name));
    const [top, left, bottom, right] = boxes.get(name);
    const canvas = name === "input" ? picture(inputPicture(array), name) : average(array);
    return h("figure", { "data-field": name }, h("div", { class: "over" }, canvas, frame(boxes.get(name), height, width)),
      h("figcaption", {}, name, h("small", {}, `${bottom - top}×${right - left} of ${height}×${width}`)));
  });
  return h("div", { class: "strip", tabindex: "0", role: "region", "aria-label": "The field in every earlier layer" }, figures, photoField(boxes.get("input")));
}

function average(array) {
  const mean = meanMap(array);
  return paint(h("canvas", { class: "pixels" }), mean, 0, signed(largest(mean)));
}

// The network's input as grey, whatever its scaling.
function inputPicture(array) {
  const [low, high] = [Math.min(...array.data), Math.max(...array.data)];
  const data = array.data.map((value) => (value - low) / (high - low || 1));
  return { shape: array.shape, data };
}

// The field in the photo: through the place where the 28x28 frame was cut out.
function photoField(box) {
  const place = state.explained?.place;
  const shape = state.description.input_shape;
  if (!place || !box || shape.length < 2 || shape[0] !== 28) return null;
  const stage = state.explained.stages.find((one) => one.name === place.stage);
  const [rows, columns] = [place.rows, place.columns];
  const inside = [rows[0] + rows[1] * box[0], columns[0] + columns[1] * box[1], rows[0] + rows[1] * box[2], columns[0] + columns[1] * box[3]];
  return h("figure", { "data-field": "photo" },
    h("div", { class: "over clip" }, h("img", { src: stage.picture, alt: "The photo with the same field marked" }), frame(inside, ...place.shape)),
    h("figcaption", {}, "the picture itself"));
}
