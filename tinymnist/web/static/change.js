// Change the picture, a weight, or switch filters off: answer, maps and accuracy follow.
import { asPictures, largest } from "./arrays.js";
import { $, fill, h, latest, number, percent, say } from "./dom.js";
import { edited } from "./inspector.js";
import { css, paint, picture, readable, signed } from "./paint.js";
import { changes } from "./pipeline.js";
import { set, state } from "./state.js";
import { weightsOf } from "./weights.js";

export const title = "Change";
export const purpose =
  "Change the picture, one weight, or whole filters; the answer, the maps and the accuracy on 200 of MNIST's training digits, which the model knows, follow at once.";
export const needs = ["run", "effects", "edits", "off", "weights", "layer", "unit"];

const EFFECTS = {
  noise: ["Noise", 0, 0.6, 0.02], blur: ["Blur", 0, 3, 0.1], thickness: ["Thickness", -1, 2, 0.1],
  turn: ["Turn", -90, 90, 1], right: ["Shift right", -10, 10, 1], down: ["Shift down", -10, 10, 1],
};
let measured = null; // accuracy with the changes, and without them
let original = {};
let place = 0; // the weight that is changed, as an index of the flat kernel

const measure = latest(async () => {
  const wanted = JSON.stringify(changes());
  original[state.model] ??= await state.api.accuracy({ model: state.model });
  measured = { wanted, ...(await state.api.accuracy(changes())) };
  showAccuracy();
}, (error) => say(error.message, true));

export function render(box) {
  if (!state.run) return box.replaceChildren(h("p", { class: "quiet" }, "There is no picture in the network yet."));
  if (measured?.wanted !== JSON.stringify(changes())) measure();
  const layer = state.description.layers.find((la) => la.name === state.layer);
  if (Object.keys(layer.arrays).length && !state.weights[layer.name]) weightsOf(layer.name);
  const focused = document.activeElement?.id;
  // A slider that is being dragged must stay: only what lies around it is made again.
  if (!$("#effects", box)) {
    box.replaceChildren(
      h("div", { class: "halves" }, h("section", { id: "effects" }), h("section", { id: "outcome" })),
      h("section", { id: "weights" }), h("section", { id: "filters" }));
    effects($("#effects", box));
  }
  for (const [name] of Object.entries(EFFECTS)) {
    const slider = $(`#effect-${name}`, box);
    if (document.activeElement !== slider) slider.value = state.effects[name] ?? 0;
    $(`#out-${name}`, box).textContent = String(state.effects[name] ?? 0);
  }
  outcome($("#outcome", box));
  weightEditor($("#weights", box), layer);
  filters($("#filters", box), layer);
  if (focused && !document.activeElement?.id) $(`#${CSS.escape(focused)}`, box)?.focus({ preventScroll: true });
}

function effects(section) {
  section.replaceChildren(h("h3", {}, "The picture"), ...Object.entries(EFFECTS).map(([name, [label, min, max, step]]) =>
    h("label", { class: "slider" }, label,
      h("input", { type: "range", id: `effect-${name}`, min: String(min), max: String(max), step: String(step), value: String(state.effects[name] ?? 0),
        oninput: (event) => set({ effects: { ...state.effects, [name]: Number(event.target.value) } }) }),
      h("output", { id: `out-${name}`, for: `effect-${name}` }, "0"))));
}

function outcome(section) {
  const run = state.run;
  const isChanged = state.edits.length || state.off.length || Object.values(state.effects).some(Boolean);
  section.replaceChildren(
    h("h3", {}, "What follows"),
    h("div", { class: "row" }, picture(run.image, "The changed picture"),
      h("p", { class: "reads" }, h("b", {}, String(run.answer.digit)), ` ${percent(run.answer.confidence)}`,
        h("small", {}, `before: ${state.explained.answer.digit}, ${percent(state.explained.answer.confidence)}`))),
    h("p", { id: "accuracy", "aria-live": "polite" }),
    h("p", {}, h("button", { type: "button", id: "undo", disabled: !isChanged, onclick: () => set({ effects: {}, edits: [], off: [] }) }, "Undo all changes")));
  showAccuracy();
}

function showAccuracy() {
  const line = $("#accuracy");
  const before = original[state.model];
  if (!line) return;
  if (!measured || !before) return line.replaceChildren("Measuring on 200 digits …");
  const isOld = measured.wanted !== JSON.stringify(changes());
  line.classList.toggle("old", isOld);
  line.replaceChildren("reads ", h("b", { "data-value": "right" }, `${measured.right} of ${measured.of}`), ` shipped digits with the same changes; ${before.right} without any`);
}

function weightEditor(section, layer) {
  const names = state.description.layers.filter((la) => la.arrays.kernel).map((la) => la.name);
  const choose = h("select", { id: "weight-layer", onchange: (event) => set({ layer: event.target.value, unit: null }) },
    !names.includes(layer.name) && h("option", { selected: true, value: layer.name }, `${layer.name} (no kernel)`),
    names.map((name) => h("option", { selected: name === layer.name }, name)));
  const head = [h("h3", {}, "One weight"), h("p", { class: "row" }, h("label", {}, "Layer ", choose))];
  const weights = state.weights[layer.name];
  if (!layer.arrays.kernel || !weights?.kernel) return section.replaceChildren(...head);
  const kernel = edited(layer, weights).kernel;
  const shape = kernel.shape;
  if (place >= kernel.data.length) place = 0;
  const channel = Math.min((shape.length === 4 ? state.unit?.[2] : state.unit?.[1]) ?? 0, shape.at(-1) - 1);
  const filters = shape.at(-1);
  const depth = shape.length === 4 ? shape[2] : 1;
  let plane = Math.floor(place / filters) % depth;
  const own = (index) => index % filters === channel && (shape.length === 4 ? Math.floor(index / filters) % depth === plane : true);
  if (!own(place)) place = shape.length === 4 ? plane * filters + channel : (Math.floor(place / filters) % shape[0]) * filters + channel;
  const most = largest(weights.kernel);
  const apply = (value) => {
    const name = `${layer.name}/kernel`;
    const others = state.edits.filter(([array, index]) => array !== name || index !== place);
    set({ edits: value === weights.kernel.data[place] ? others : [...others, [name, place, value]] });
  };
  const slider = h("input", { type: "range", id: "weight", min: String(-3 * most), max: String(3 * most), step: "any", value: String(kernel.data[place]),
    "aria-label": "Value of the weight", oninput: (event) => apply(Number(Number(event.target.value).toFixed(4))) });
  if (section.contains(document.activeElement) && document.activeElement.id === "weight") {
    $("#weight-value", section).textContent = number(kernel.data[place]);
    $("#tap", section)?.replaceWith(taps(kernel, channel, plane));
    return; // the slider is in use
  }
  const labels = { filter: `${shape.length === 4 ? "filter" : "unit"} ` };
  fill(section, ...head,
    h("p", { class: "row" },
      h("label", {}, labels.filter, numberBox("weight-channel", channel, filters - 1, (v) => set({ unit: shape.length === 4 ? [0, 0, v] : [0, v, 0] }))),
      depth > 1 && h("label", {}, "for input map ", numberBox("weight-plane", plane, depth - 1, (v) => { place = v * filters + channel; set({ unit: shape.length === 4 ? [0, 0, channel] : [0, channel, 0] }); })),
      shape.length === 2 && h("label", {}, "for input ", numberBox("weight-input", Math.floor(place / filters), shape[0] - 1, (v) => { place = v * filters + channel; set({ unit: shape.length === 4 ? [0, 0, channel] : [0, channel, 0] }); }))),
    h("div", { class: "row" }, shape.length === 4 && taps(kernel, channel, plane),
      h("label", { class: "slider" }, "value", slider, h("output", { id: "weight-value", for: "weight" }, number(kernel.data[place])))),
    h("p", { class: "quiet" }, `It was ${number(weights.kernel.data[place])}. ${state.edits.length ? `${state.edits.length} changed so far.` : "Click a number of the kernel, then move the slider."}`));
}

function numberBox(id, value, max, changed) {
  return h("input", { type: "number", id, min: "0", max: String(max), value: String(value),
    onchange: (event) => changed(Math.min(Math.max(Math.round(Number(event.target.value)) || 0, 0), max)) });
}

// The kernel of one filter and one input map, as buttons.
function taps(kernel, channel, plane) {
  const [rows, columns, depth, filters] = kernel.shape;
  const index = (a, b) => ((a * columns + b) * depth + plane) * filters + channel;
  const colour = signed(largest(kernel));
  return h("div", { class: "taps", id: "tap", style: { gridTemplateColumns: `repeat(${columns}, auto)` } },
    Array.from({ length: rows * columns }, (_, i) => {
      const at = index(Math.floor(i / columns), i % columns);
      const rgb = colour(kernel.data[at]);
      return h("button", { type: "button", id: `tap-${i}`, "aria-pressed": at === place, style: { background: css(rgb), color: readable(rgb) },
        "aria-label": `Weight at row ${Math.floor(i / columns)}, column ${i % columns}: ${number(kernel.data[at])}`,
        onclick: () => { place = at; set({ unit: [0, 0, channel] }); } }, number(kernel.data[at]));
    }));
}

function filters(section, layer) {
  const output = state.run.maps[layer.name];
  const heading = h("h3", {}, `Filters of ${layer.name}`);
  if (!output) return section.replaceChildren(heading);
  const { c, h: height, w } = asPictures(output);
  const isVector = height === 1;
  const count = Math.min(isVector ? w : c, 128);
  const colour = signed(largest(output));
  const off = new Set(state.off.filter(([name]) => name === layer.name).map(([, channel]) => channel));
  const toggle = (channel) => {
    const others = state.off.filter(([name, one]) => name !== layer.name || one !== channel);
    set({ off: off.has(channel) ? others : [...others, [layer.name, channel]] });
  };
  const tiles = Array.from({ length: count }, (_, channel) => {
    const value = isVector && output.data[channel];
    return h("button", { type: "button", id: `switch-${channel}`, class: off.has(channel) ? "map off" : "map", "aria-pressed": !off.has(channel),
      "aria-label": `${isVector ? "Unit" : "Filter"} ${channel}: ${off.has(channel) ? "off" : "on"}`, onclick: () => toggle(channel) },
      isVector ? h("span", { class: "cell", style: { background: css(colour(value)) } }) : paint(h("canvas", { class: "pixels" }), output, channel, colour));
  });
  const other = h("select", { id: "filter-layer", "aria-label": "Layer whose filters are shown", onchange: (event) => set({ layer: event.target.value, unit: null }) },
    state.description.layers.map((la) => h("option", { selected: la.name === layer.name }, la.name)));
  section.replaceChildren(heading, h("p", { class: "row" }, h("label", {}, "Layer ", other), h("span", { class: "quiet" }, "Click a map to switch it off: it becomes 0 for everything after it.")), h("div", { class: "maps" }, tiles));
}

