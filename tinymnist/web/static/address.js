// The state in the address, so that a link opens what somebody else sees. A photo stays at home.
import { set, state, subscribe } from "./state.js";

const list = (text) => (text ? text.split(",") : []);

function written() {
  const parts = new URLSearchParams();
  const put = (name, value, usual) => {
    if (value != null && value !== "" && String(value) !== usual) parts.set(name, value);
  };
  put("view", state.view, "recipe");
  put("walk", state.walk);
  put("model", state.model, state.models?.default);
  if (state.source.kind === "sample") put("sample", state.source.name, "7-tilted-photo.jpg");
  if (state.source.kind === "drawing") put("drawing", encode(state.source.strokes));
  put("skip", state.skip.join(",") || "none", "slant");
  put("layer", state.layer);
  put("unit", state.unit?.join(","));
  put("label", state.label);
  put("effects", Object.entries(state.effects).map((pair) => pair.join(":")).join(","));
  put("edits", state.edits.map((edit) => edit.join(":")).join(","));
  put("off", state.off.map((one) => one.join(":")).join(","));
  return `#${parts}`;
}

export function read() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const changes = {};
  for (const name of ["view", "model", "layer", "label", "walk"]) {
    if (parts.has(name)) changes[name] = parts.get(name);
  }
  if (parts.has("walk")) changes.walk = Number(parts.get("walk"));
  if (parts.has("sample")) changes.source = { kind: "sample", name: parts.get("sample") };
  if (parts.has("drawing")) changes.source = { kind: "drawing", strokes: decode(parts.get("drawing")) };
  if (parts.has("skip")) changes.skip = list(parts.get("skip").replace(/^none$/, ""));
  if (parts.has("unit")) changes.unit = list(parts.get("unit")).map(Number);
  const pairs = (name) => list(parts.get(name)).map((text) => text.split(":"));
  changes.effects = Object.fromEntries(pairs("effects").map(([name, value]) => [name, Number(value)]));
  changes.edits = pairs("edits").map(([name, index, value]) => [name, Number(index), Number(value)]);
  changes.off = pairs("off").map(([layer, channel]) => [layer, Number(channel)]);
  return changes;
}

// Two letters per coordinate (0..1295), a dot between strokes.
export const encode = (strokes) =>
  strokes
    .map((line) => line.flat().map((n) => Math.round(n).toString(36).padStart(2, "0")).join(""))
    .join(".");

export const decode = (text) =>
  text.split(".").map((line) => {
    const numbers = (line.match(/../g) ?? []).map((two) => parseInt(two, 36));
    return numbers.flatMap((n, i) => (i % 2 ? [] : [[n, numbers[i + 1]]]));
  });

export function keep() {
  let timer = null;
  subscribe(() => {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", written()), 250);
  });
  addEventListener("hashchange", () => set(read()));
}
