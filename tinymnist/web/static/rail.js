// The picture at the left, and the network's answer to it.
import { api } from "./api.js";
import { $, h, percent, say } from "./dom.js";
import { pad } from "./pad.js";
import { picture } from "./paint.js";
import { set, state, subscribe } from "./state.js";

const drawing = pad("Drawing pad", (strokes) => set({ source: { kind: "drawing", strokes } }));

export function build() {
  $("#pad").append(drawing.canvas);
  $("#clear").addEventListener("click", () => {
    drawing.setStrokes([]);
    set({ source: { kind: "drawing", strokes: [] } });
  });
  $("#file").addEventListener("change", (event) => take(event.target.files[0]));
  $("#camera").addEventListener("click", camera);
  $("#readpage").addEventListener("click", readPage);
  for (const name of state.models.samples) {
    const choose = () => set({ source: { kind: "sample", name } });
    const label = `Sample: ${name.replace(/\.\w+$/, "").replaceAll("-", " ")}`;
    $("#samples").append(
      h("button", { type: "button", "aria-label": label, title: label, onclick: choose, "data-name": name },
        h("img", { src: `/samples/${name}`, alt: "" })),
    );
  }
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer.files[0];
    if (file && event.target.closest("#view-models")) return; // a model: see models.js
    if (file) take(file);
  });
  addEventListener("paste", (event) => event.clipboardData.files[0] && take(event.clipboardData.files[0]));
  subscribe(show);
}

function take(file) {
  if (file) set({ source: { kind: "file", name: file.name }, blob: file });
}

function show(keys) {
  if (keys.has("source")) {
    const source = state.source;
    if (source.kind !== "drawing") drawing.setStrokes([]);
    else if (drawing.strokes() !== source.strokes) drawing.setStrokes(source.strokes);
    for (const button of $("#samples").children) {
      button.setAttribute("aria-pressed", button.dataset.name === source.name);
    }
    $("#pages").replaceChildren();
  }
  if (keys.has("blob") || keys.has("source")) showSource();
  if (keys.has("run") || keys.has("image")) showAnswer();
}

let shownUrl = null;

function showSource() {
  const isDrawing = state.source.kind === "drawing";
  $("#pad").hidden = !isDrawing;
  $("#photo").hidden = isDrawing;
  $("#draw").hidden = isDrawing;
  $("#clear").hidden = !isDrawing;
  if (isDrawing || !state.blob) return;
  URL.revokeObjectURL(shownUrl);
  shownUrl = URL.createObjectURL(state.blob);
  $("#photo").replaceChildren(h("img", { src: shownUrl, alt: `The picture: ${state.source.name}` }));
}

export function showPad() {
  set({ source: { kind: "drawing", strokes: [] } });
  drawing.canvas.scrollIntoView({ block: "nearest" });
  drawing.canvas.focus({ preventScroll: true });
}

function showAnswer() {
  const answer = (state.run ?? state.explained)?.answer;
  const box = $("#answer");
  if (!answer || !state.image) {
    box.replaceChildren(h("p", { class: "quiet" }, "Draw a digit, or choose a picture."));
    return;
  }
  const bars = Object.entries(answer.probabilities).map(([name, share]) =>
    h("li", { class: name === String(answer.digit) ? "best" : "" },
      h("span", {}, name),
      h("span", { class: "bar" }, h("i", { style: { width: `${100 * share}%` } })),
      h("span", { class: "share" }, percent(share))));
  const sees = state.run?.image ?? state.image;
  box.replaceChildren(
    h("div", { class: "verdict" },
      h("p", { class: "digit", id: "digit" }, String(answer.digit)),
      h("p", {}, h("b", {}, percent(answer.confidence)), h("br"), "sure"),
      h("figure", {}, picture(sees, "What the network sees"), h("figcaption", {}, "what the network sees"))),
    h("ol", { class: "bars", "aria-label": "Probability of each class" }, bars),
  );
  $("#live").textContent = `Read as ${answer.digit}, ${percent(answer.confidence)} sure`;
}

// All digits of a page, each with its box; a click takes one out as the picture.
async function readPage() {
  const { blob } = state;
  if (!blob) return;
  say("Reading every digit on the picture …");
  try {
    const page = await api.read(blob, state.model);
    if (blob !== state.blob) return; // another picture is shown meanwhile
    say("");
    const bitmap = await createImageBitmap(blob);
    const canvas = h("canvas", { width: bitmap.width, height: bitmap.height, role: "img", "aria-label": "The page with a box around each digit" });
    const context = canvas.getContext("2d");
    context.drawImage(bitmap, 0, 0);
    context.strokeStyle = "#c4540f";
    context.lineWidth = Math.max(2, bitmap.width / 200);
    const buttons = page.rows.map((row) =>
      h("p", {}, row.map((digit) => {
        const [left, top, right, bottom] = digit.box;
        context.strokeRect(left, top, right - left, bottom - top);
        const label = `Take out the ${digit.digit}, ${percent(digit.confidence)} sure`;
        return h("button", { type: "button", class: "plain", title: label, "aria-label": label, onclick: () => crop(bitmap, digit.box) }, String(digit.digit));
      })));
    $("#pages").replaceChildren(canvas, ...buttons);
  } catch (error) {
    say(error.message, true);
  }
}

async function crop(bitmap, [left, top, right, bottom]) {
  const margin = Math.round(0.3 * Math.max(right - left, bottom - top));
  const [width, height] = [right - left + 2 * margin, bottom - top + 2 * margin];
  const canvas = h("canvas", { width, height });
  canvas.getContext("2d").drawImage(bitmap, left - margin, top - margin, width, height, 0, 0, width, height);
  canvas.toBlob((blob) => set({ source: { kind: "file", name: "one digit of the page" }, blob }), "image/png");
}

async function camera() {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    return say("There is no camera that this page may use.", true);
  }
  const video = h("video", { autoplay: true, playsInline: true, muted: true });
  video.srcObject = stream;
  const close = () => {
    stream.getTracks().forEach((track) => track.stop());
    dialog.close();
    dialog.remove();
  };
  const shoot = () => {
    const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => set({ source: { kind: "file", name: "photo" }, blob }), "image/jpeg", 0.92);
    close();
  };
  const dialog = h("dialog", { "aria-label": "Camera", oncancel: close },
    video,
    h("p", {}, h("button", { type: "button", class: "main", onclick: shoot }, "Take the picture"),
      h("button", { type: "button", onclick: close }, "Cancel")));
  document.body.append(dialog);
  dialog.showModal();
}
