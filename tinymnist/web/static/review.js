// The contact sheet of `tinymnist review`: what is doubtful, the worst first, corrected by keyboard.
import { $, fill, h, percent, save, say } from "./dom.js";

async function ask(path, json) {
  const answer = await fetch(path, json && { method: "POST", body: JSON.stringify(json) });
  const text = await answer.text();
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error(`the server answers ${answer.status}`);
  }
  if (!answer.ok) throw new Error(found.error);
  return found;
}

// Labels in the server's file; each is there before the next picture is looked at.
const server = {
  page: (number) => ask(`/api/review?page=${number}`),
  put: ({ number, label, rejected }) => ask("/api/label", { number, label, rejected }),
  picture: ({ number }, large) => `/api/picture?number=${number}${large ? "&large=1" : ""}`,
};

// Labels of a page without a server: this browser keeps them until they are downloaded.
function local(data) {
  const key = `tinymnist review ${data.title}`;
  const kept = (() => {
    try {
      return JSON.parse(localStorage.getItem(key) ?? "{}");
    } catch {
      return {}; // a browser that keeps nothing for files
    }
  })();
  for (const item of data.items) Object.assign(item, kept[item.entry] ?? {});
  const done = () => data.items.filter((item) => item.label !== null || item.rejected).length;
  const cell = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return {
    page: async (number) => {
      const pages = Math.max(Math.ceil(data.items.length / data.size), 1);
      const page = Math.min(number, pages - 1);
      const items = data.items.slice(page * data.size, (page + 1) * data.size);
      return { ...data, items, page, pages, total: data.items.length, done: done() };
    },
    put: async ({ entry, label, rejected }) => {
      Object.assign(data.items.find((item) => item.entry === entry), { label, rejected });
      kept[entry] = { label, rejected };
      try {
        localStorage.setItem(key, JSON.stringify(kept));
      } catch {
        // as above
      }
      return { done: done() };
    },
    picture: ({ picture }) => picture ?? "",
    download: () => {
      const labels = { ...data.others };
      for (const { entry, label } of data.items) if (label !== null) labels[entry] = label;
      const rows = Object.entries(labels).map((row) => row.map(cell).join(",") + "\n");
      save(data.labels, `file,label\n${rows.join("")}`, "text/csv");
      const others = data.items.filter((item) => item.rejected).map((item) => cell(item.entry) + "\n");
      if (others.length) save(data.rejected, `file\n${others.join("")}`, "text/csv");
    },
  };
}

const data = $("#data");
const store = data ? local(JSON.parse(data.textContent)) : server;
const past = []; // { page, index, label, rejected } before each change
let sheet; // the page that is shown
let chosen = 0;

const item = () => sheet.items[chosen];
const open = ({ label, rejected }) => label === null && !rejected;

function image(one, large) {
  const missing = () => h("span", {}, one.missing ? "missing" : "cannot be shown");
  const source = store.picture(one, large);
  if (one.missing || !source) return missing();
  const found = h("img", { alt: "", src: source, loading: "lazy" });
  found.addEventListener("load", () => found.classList.toggle("tiny", found.naturalWidth < 64));
  found.addEventListener("error", () => found.replaceWith(missing()));
  return found;
}

const fileName = (name) => name.split(/[\\/]/).pop();

function said(one) {
  if (one.rejected) return [h("b", {}, "not a digit")];
  const reading = one.error ? "unread" : `${one.reading} `;
  if (one.label === null) return [h("b", {}, reading), one.error ? "" : h("small", {}, percent(one.confidence))];
  if (one.label === one.reading) return [h("b", { class: "good" }, one.label, " ✓")];
  return [h("s", {}, reading), " ", h("b", { class: "less" }, one.label)];
}

const card = (one, index) =>
  h(
    "li",
    {
      id: `item-${one.number}`,
      role: "option",
      "aria-selected": String(index === chosen),
      class: open(one) ? "" : "done",
      onclick: () => choose(index),
    },
    h("div", { class: "picture" }, image(one, false)),
    h("div", {}, said(one)),
    h("span", { class: "file", title: one.name }, fileName(one.name)),
  );

function show() {
  const one = item();
  for (const [index, element] of [...$("#sheet").children].entries())
    element.setAttribute("aria-selected", String(index === chosen));
  $("#progress").textContent = `${sheet.done} labelled; ${sheet.total} doubtful or failed`;
  $("#place").textContent = `${sheet.page + 1} of ${sheet.pages}`;
  $("#before").disabled = sheet.page === 0;
  $("#after").disabled = sheet.page + 1 >= sheet.pages;
  $("#undo").disabled = !past.length;
  $("#accept").disabled = !one?.reading;
  $("#reject").disabled = !one;
  if (!one) return;
  $("#sheet").setAttribute("aria-activedescendant", `item-${one.number}`);
  const shares = one.ranked.map(([name, share]) => `${name} ${percent(share)}`).join(", ");
  fill($("#large"), image(one, true));
  $("#name").textContent = one.name;
  $("#reading").textContent = one.error || `read as ${shares}`;
  for (const button of $("#classes").children)
    button.setAttribute("aria-pressed", String(button.value === one.label));
}

function choose(index) {
  chosen = Math.max(0, Math.min(index, sheet.items.length - 1));
  show();
  $("#sheet").children[chosen]?.scrollIntoView({ block: "nearest" });
}

async function turn(page, index = 0) {
  sheet = await store.page(page);
  chosen = Math.min(index < 0 ? sheet.items.length - 1 : index, Math.max(sheet.items.length - 1, 0));
  fill($("#sheet"), sheet.items.map(card));
  choose(chosen);
}

async function move(by) {
  const next = chosen + by;
  if (next >= sheet.items.length && sheet.page + 1 < sheet.pages) await turn(sheet.page + 1);
  else if (next < 0 && sheet.page > 0) await turn(sheet.page - 1, -1);
  else choose(next);
}

// Writes what is said about a picture; what could not be written is not shown as if it were.
async function put(index, label, rejected) {
  const one = sheet.items[index];
  sheet.done = (await store.put({ ...one, label, rejected })).done;
  Object.assign(one, { label, rejected });
  $("#sheet").children[index].replaceWith(card(one, index));
  say("");
}

async function set(label, rejected = false) {
  const { label: before, rejected: was } = item();
  const now = { page: sheet.page, index: chosen, label: before, rejected: was };
  await put(chosen, rejected ? null : label, rejected);
  past.push(now);
  await move(1);
}

async function undo() {
  const last = past.pop();
  if (!last) return;
  if (last.page !== sheet.page) await turn(last.page, last.index);
  await put(last.index, last.label, last.rejected);
  choose(last.index);
}

const columns = () => getComputedStyle($("#sheet")).gridTemplateColumns.split(" ").length;
const letters = { x: () => set(null, true), u: undo };
const keys = {
  ArrowLeft: () => move(-1),
  ArrowRight: () => move(1),
  ArrowUp: () => choose(chosen - columns() >= 0 ? chosen - columns() : chosen),
  ArrowDown: () => choose(chosen + columns()),
  PageDown: () => sheet.page + 1 < sheet.pages && turn(sheet.page + 1),
  PageUp: () => sheet.page > 0 && turn(sheet.page - 1),
  Home: () => choose(0),
  End: () => choose(sheet.items.length - 1),
  " ": () => item().reading && set(item().reading),
  Enter: () => item().reading && set(item().reading),
  Delete: () => set(null, true),
  "/": () => !$("#other").hidden && $("#other input").focus(),
};

// One change after the other, so that quick typing keeps its order.
let queue = Promise.resolve();
function act(work) {
  queue = queue.then(work).catch((error) => say(`Not saved: ${error.message}`, true));
}

addEventListener("keydown", (event) => {
  if (event.altKey || event.metaKey || event.target.matches("input") || !sheet?.items.length) return;
  const isButton = event.target.matches("button") && [" ", "Enter"].includes(event.key);
  if (isButton) return;
  if (event.ctrlKey) {
    if (event.key === "z") act(undo);
    return;
  }
  // A class that is named by a letter comes before what the letter does otherwise.
  const work = sheet.classes.includes(event.key) ? () => set(event.key) : keys[event.key] ?? letters[event.key];
  if (!work) return;
  event.preventDefault();
  act(work);
});

async function start() {
  await turn(0);
  const { classes, labels } = sheet;
  const isLong = classes.length > 12;
  const button = (name) => h("button", { value: name, "aria-pressed": "false", onclick: () => act(() => set(name)) }, name);
  fill($("#classes"), isLong ? [] : classes.map(button));
  const digits = classes.length <= 10 && classes.every((name) => /^\d$/.test(name));
  $("#other").hidden = $("#letters").hidden = digits;
  fill($("#known"), classes.map((name) => h("option", { value: name })));
  $("#other").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = $("#other input");
    const label = field.value.trim();
    if (label) act(() => set(label));
    field.value = "";
    $("#sheet").focus();
  });
  $("#accept").onclick = () => act(() => set(item().reading));
  $("#reject").onclick = () => act(() => set(null, true));
  $("#undo").onclick = () => act(undo);
  $("#before").onclick = () => act(() => turn(sheet.page - 1));
  $("#after").onclick = () => act(() => turn(sheet.page + 1));
  $("#download").hidden = !store.download;
  $("#download").onclick = store.download ?? null;
  $("#saved").textContent = store.download
    ? `Labels stay in this browser until you download ${labels}; put it beside this page.`
    : `Every label is written to ${labels} at once.`;
  show();
  $("#sheet").focus();
}

start().catch((error) => say(error.message, true));
