// The server's endpoints; see /reference.html. A page is known by a token that it makes up.
import { pack, unpack } from "./arrays.js";

export const token = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
  byte.toString(16).padStart(2, "0"),
).join("");

async function ask(path, { query = {}, body = null, json = null } = {}) {
  const address = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
  const answer = await fetch(address, {
    method: body === null && json === null ? "GET" : "POST",
    headers: { "X-Page": token },
    body: json === null ? body : JSON.stringify(json),
  });
  if (answer.ok) return answer;
  const text = await answer.text();
  let message = `the server answers ${answer.status}`;
  try {
    message = JSON.parse(text).error;
  } catch {
    // an answer that another program gave
  }
  throw new Error(message);
}

const found = async (path, options) => (await ask(path, options)).json();
const arrays = (packed) =>
  Object.fromEntries(Object.entries(packed).map(([name, array]) => [name, unpack(array)]));

export const api = {
  models: () => found("/api/models"),
  open: (file) => found("/api/models", { query: { name: file.name }, body: file }),
  model: (model) => found("/api/model", { query: { model } }),
  weights: async (model, layer) => arrays(await found("/api/weights", { query: { model, layer } })),
  sample: async (name) => (await ask(`/samples/${name}`)).blob(),
  read: (blob, model) => found("/api/read", { query: { model }, body: blob }),
  explain: async (blob, model, skip) => {
    const answer = await found("/api/explain", { query: { model, skip: skip.join(",") }, body: blob });
    return { ...answer, image: unpack(answer.image), tutorial: { ...answer.tutorial, image: unpack(answer.tutorial.image) } };
  },
  layers: async (image, changes) => {
    const answer = await found("/api/layers", { json: { image: pack(image), ...changes } });
    return { ...answer, image: unpack(answer.image), maps: arrays(answer.maps ?? {}) };
  },
  attribution: async (image, changes) => {
    const answer = await found("/api/attribution", { json: { image: pack(image), ...changes } });
    return { ...answer, occlusion: unpack(answer.occlusion), gradient: unpack(answer.gradient) };
  },
  accuracy: (changes) => found("/api/accuracy", { json: changes }),
  compare: (a, b, changes) => found("/api/compare", { json: { a, b, ...changes } }),
  train: (settings) => found("/api/training", { json: settings }),
  finetune: (settings) => found("/api/finetune", { json: settings }),
  job: (since) => found("/api/job", { query: { since } }),
  command: (action, rate = 0.001) => found("/api/job", { json: { action, rate } }),
  download: async (model, format) => (await ask("/api/download", { query: { model, format } })).blob(),
  onefile: async (blob, model, name) => (await ask("/api/onefile", { query: { model, name }, body: blob })).blob(),
};

addEventListener("pagehide", () => navigator.sendBeacon(`/api/end?page=${token}`));
