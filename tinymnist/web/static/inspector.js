// One output taken apart, as numbers: patch times kernel, the products, the sum.
import { takeApart } from "./arithmetic.js";
import { h, number } from "./dom.js";
import { css, readable, signed } from "./paint.js";
import { state } from "./state.js";

let chosen = null; // the input channel whose patch is shown; null is the one that counts most

export function inspect(layer, unit) {
  const weights = state.weights[layer.name] ?? {};
  if (Object.keys(layer.arrays).length && !state.weights[layer.name]) return [h("p", { class: "quiet" }, "Fetching the kernel …")];
  if (Object.keys(layer.arrays).some((name) => !weights[name])) {
    return [h("p", { class: "quiet" }, "Its kernel is too large to be shown here.")];
  }
  const inputs = layer.sources.map((source) => state.run.maps[source]);
  if (inputs.some((input) => !input)) return [h("p", { class: "quiet" }, "Its input is too large for a page.")];
  const found = takeApart(layer, inputs, state.run.maps[layer.name], edited(layer, weights), unit);
  const off = state.off.some(([name, channel]) => name === layer.name && channel === unit[2]);
  return [...WRITERS[found.kind](found, layer), off && h("p", { class: "wrong" }, "This map is switched off: 0.")];
}

// The arrays with a visitor's changes.
export function edited(layer, weights) {
  const changed = { ...weights };
  for (const [name, index, value] of state.edits) {
    const [owner, key] = name.split("/");
    if (owner !== layer.name || !weights[key]) continue;
    const data = changed[key] === weights[key] ? weights[key].data.slice() : changed[key].data;
    data[index] = value;
    changed[key] = { shape: weights[key].shape, data };
  }
  return changed;
}

export function grid(values, [rows, columns], label, kind = "") {
  const colour = signed(Math.max(...values.map((v) => Math.abs(v ?? 0))));
  const body = Array.from({ length: rows }, (_, r) =>
    h("tr", {}, Array.from({ length: columns }, (_, c) => {
      const value = values[r * columns + c];
      if (value === null) return h("td", { class: "outside" }, "");
      const rgb = colour(value);
      return h("td", { style: { background: css(rgb), color: readable(rgb) } }, number(value));
    })));
  return h("figure", { class: `grid ${kind}` }, h("table", { "aria-label": label }, h("tbody", {}, body)), h("figcaption", {}, label));
}

const sign = (text) => h("span", { class: "sign", "aria-hidden": "true" }, text);
const line = (...parts) => h("p", { class: "formula" }, parts);
const value = (v, name) => h("b", { class: "value", "data-value": name }, number(v));

const signedNumber = (v) => (v < 0 ? `(${number(v)})` : number(v));

function closing(found) {
  const bias = found.bias === null ? [] : [" + bias ", value(found.bias, "bias")];
  const sum = line("sum ", value(found.sum, "sum"), ...bias, " = ", value(found.before, "before"));
  if (found.activation === "linear") return [sum];
  if (found.activation.includes("softmax")) {
    return [sum, line(`${found.activation} over the scores of all units gives `, value(found.value, "value"))];
  }
  return [sum, line(`${found.activation}(`, number(found.before), ") = ", value(found.value, "value"))];
}

const WRITERS = {
  convolution(found) {
    const strongest = found.parts.reduce((a, b) => (Math.abs(b.sum) > Math.abs(a.sum) ? b : a));
    const part = found.parts.find((one) => one.channel === chosen) ?? strongest;
    const most = Math.max(...found.parts.map((one) => Math.abs(one.sum))) || 1;
    const pick = (channel) => {
      chosen = channel === chosen ? null : channel;
      document.dispatchEvent(new CustomEvent("inspect"));
    };
    const shares = found.parts.length > 1 && h("div", { class: "shares" },
      h("p", { class: "quiet" }, `Each of ${found.parts.length} input maps adds its part; the one shown is map ${part.channel}:`),
      h("div", { class: "columns" }, found.parts.map((one) =>
        h("button", { type: "button", class: one.sum < 0 ? "less" : "more", "aria-pressed": one === part, id: `part-${one.channel}`,
          "aria-label": `Input map ${one.channel} adds ${number(one.sum)}`, title: `map ${one.channel}: ${number(one.sum)}`, onclick: () => pick(one.channel) },
          h("i", { style: { height: `${2 + (38 * Math.abs(one.sum)) / most}px` } })))));
    return [
      h("div", { class: "equation" },
        grid(part.patch, found.size, "patch"), sign("×"), grid(part.kernel, found.size, "kernel"), sign("="),
        grid(part.products, found.size, "products", "products")),
      found.parts.length > 1 && line("this map adds ", value(part.sum, "part")),
      shares,
      ...closing(found),
    ];
  },
  pooling(found) {
    return [h("div", { class: "equation" }, grid(found.values, found.size, "window")),
      line(found.isMax ? "the largest is " : "the mean is ", value(found.value, "value"))];
  },
  dense(found) {
    const order = found.products.map((product, i) => [product, i]).sort((a, b) => Math.abs(b[0]) - Math.abs(a[0]));
    const rows = order.slice(0, 8).map(([product, i]) =>
      h("tr", {}, h("th", {}, `input ${i}`), h("td", {}, number(found.inputs[i])), h("td", {}, number(found.column[i])), h("td", {}, number(product))));
    return [
      h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, ["", "input", "weight", "product"].map((t) => h("th", {}, t)))), h("tbody", {}, rows)),
      h("p", { class: "quiet" }, `The eight largest of ${found.products.length} products. All together:`),
      ...closing(found),
    ];
  },
  batchnorm(found) {
    return [
      line("gamma · (x − mean) / √(variance + epsilon) + beta"),
      line(`${number(found.gamma)} · (${number(found.given)} − ${signedNumber(found.mean)}) / √(${number(found.variance)} + ${found.epsilon}) + ${signedNumber(found.beta)} = `, value(found.value, "value")),
    ];
  },
  global(found) {
    return [h("div", { class: "equation" }, grid(found.values, found.shape, `all of map ${found.channel}`)),
      line(found.isMax ? "the largest is " : "the mean is ", value(found.value, "value"))];
  },
  same(found, layer) {
    if (!found.given) return [line("takes the numbers as they are, in another order: ", value(found.value, "value"))];
    const rule = { ReLU: "max(0, x)", Dropout: "in training some numbers are dropped; now none", Add: "the sum of its inputs" }[layer.class] ?? layer.class;
    return [line(`${rule}: `, found.given.map(number).join(", "), " → ", value(found.value, "value"))];
  },
};
