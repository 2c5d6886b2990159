// What the page shows, and who wants to know when it changes.
export const state = {
  api: null, // where numbers come from: the server, or the file itself
  isFile: false,
  view: "recipe",
  source: { kind: "sample", name: "7-tilted-photo.jpg" }, // or a drawing (strokes), or a file
  blob: null, // the picture itself
  skip: ["slant"],
  model: null, // a name
  models: null, // what can be chosen
  description: null, // the model's layers
  weights: {}, // by layer
  explained: null, // every stage
  image: null, // (28, 28), what the network gets
  run: null, // what every layer gave
  layer: null,
  unit: null, // row, column, channel; null is where the layer answers most
  label: null, // the class a visitor says it is
  effects: {},
  edits: [], // [array, index, value]
  off: [], // [layer, channel]
  walk: null, // the chapter
};

const listeners = [];

export const subscribe = (listener) => listeners.push(listener);

export function set(changes) {
  Object.assign(state, changes);
  const keys = new Set(Object.keys(changes));
  for (const listener of listeners) listener(keys);
}
