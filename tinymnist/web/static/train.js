// Watch a network learn: curves, kernels; pause, step, change the rate.
import { api } from "./api.js";
import { largest, unpack } from "./arrays.js";
import { $, h, number, percent, say, svg } from "./dom.js";
import { follow, report } from "./jobs.js";
import { paint, signed } from "./paint.js";
import { set, state } from "./state.js";

export const title = "Train";
export const purpose =
  "Train a network from scratch in this page: the loss of every batch, the accuracy on 200 digits it never sees, and its first kernels as they change.";
export const needs = ["models"];

const run = { frames: [], losses: [], active: false, last: null, name: null };

export function render(box) {
  if ($("#train-form", box)) return;
  const options = (list, chosen) => list.map((one) => h("option", { selected: one === chosen }, one));
  const field = (label, control) => h("label", {}, label, " ", control);
  box.replaceChildren(
    h("form", { id: "train-form", class: "row", onsubmit: begin },
      field("Network", h("select", { name: "architecture" }, options(state.models.architectures, "lenet5"))),
      field("Digits", h("select", { name: "digits" }, state.models.digits.map((one) => h("option", { value: one }, one === "mnist" ? "MNIST, 60,000" : "800 shipped ones")))),
      field("Optimizer", h("select", { name: "optimizer" }, options(state.models.optimizers, "adam"))),
      field("Learning rate", h("input", { name: "learning_rate", type: "number", step: "any", min: "0.000001", max: "10", value: "0.002", onchange: rate })),
      field("Batch", h("input", { name: "batch_size", type: "number", min: "1", max: "1000", value: "32" })),
      field("Epochs", h("input", { name: "epochs", type: "number", min: "1", max: "50", value: "3" })),
      h("label", {}, h("input", { name: "augment", type: "checkbox" }), " augment: bend and turn every digit"),
      h("p", { class: "buttons" },
        h("button", { class: "main", id: "train-start" }, "Start"),
        h("button", { type: "button", id: "train-pause", disabled: true, onclick: pause }, "Pause"),
        h("button", { type: "button", id: "train-step", onclick: step }, "Step"),
        h("button", { type: "button", id: "train-stop", disabled: true, onclick: () => api.command("stop").catch(report) }, "Stop"))),
    h("p", { id: "train-state", class: "facts", "aria-live": "polite" }, "Not started. Step trains one batch at a time."),
    h("div", { class: "halves" },
      h("figure", {}, h("div", { id: "loss-curve" }), h("figcaption", {}, "loss: every batch, and on the 200 digits (bold)")),
      h("figure", {}, h("div", { id: "accuracy-curve" }), h("figcaption", {}, "accuracy on the 200 digits"))),
    h("h3", {}, "Kernels of the first layer"), h("div", { id: "kernels", class: "maps kernels" }),
    h("p", { id: "train-result" }));
  show();
}

function settings() {
  const form = new FormData($("#train-form"));
  const text = ["architecture", "digits", "optimizer"].map((name) => [name, form.get(name)]);
  const numbers = ["learning_rate", "batch_size", "epochs"].map((name) => [name, Number(form.get(name))]);
  return { ...Object.fromEntries(text), ...Object.fromEntries(numbers), augment: form.has("augment") };
}

async function begin(event, paused = false) {
  event?.preventDefault();
  Object.assign(run, { frames: [], losses: [], active: true, last: null, name: null });
  try {
    await api.train({ ...settings(), paused });
    show();
    await follow(receive);
  } catch (error) {
    report(error);
  }
  run.active = false;
  show();
}

function receive(event) {
  if (event.event === "frame") {
    run.losses.push(...event.losses);
    run.frames.push({ step: event.step, ...event.measured });
    run.last = event;
  } else if (event.event === "paused") {
    run.last = { ...run.last, paused: event.paused };
  } else if (event.event === "model") {
    run.name = event.name;
    api.models().then((models) => set({ models }));
    say("The trained network can be chosen above.");
  }
  show();
}

const pause = () => api.command(run.last?.paused ? "resume" : "pause").catch(report);
const rate = (event) => run.active && api.command("rate", Number(event.target.value)).catch(report);

function step() {
  if (run.active) api.command("step").catch(report);
  else begin(null, true);
}

function show() {
  if (!$("#train-state")) return;
  const { last, active } = run;
  const isOn = active && !run.name;
  $("#train-start").disabled = isOn;
  $("#train-pause").disabled = $("#train-stop").disabled = !isOn;
  $("#train-pause").textContent = last?.paused ? "Resume" : "Pause";
  if (last) {
    const where = active && !run.name ? `epoch ${last.epoch + 1}, batch ${last.batch} of ${last.batches}` : "finished";
    $("#train-state").textContent = `${where}: ${last.step} steps, loss ${number(last.measured.loss)}, accuracy ${percent(last.measured.accuracy)}, learning rate ${last.rate}`;
    const kernels = unpack(last.kernels);
    const colour = signed(largest(kernels));
    $("#kernels").replaceChildren(...Array.from({ length: kernels.shape[2] }, (_, i) =>
      paint(h("canvas", { class: "pixels map", role: "img", "aria-label": `kernel ${i}` }), kernels, i, colour)));
  } else if (active) $("#train-state").textContent = "Starting …";
  const steps = Math.max(run.losses.length, 1);
  const most = Math.max(2.5, ...run.losses.slice(0, 50));
  $("#loss-curve").replaceChildren(chart("Loss", most, steps, [
    ["thin", run.losses.map((loss, i) => [i + 1, loss])], ["line", run.frames.map((one) => [one.step, one.loss])]]));
  $("#accuracy-curve").replaceChildren(chart("Accuracy", 1, steps, [["line", run.frames.map((one) => [one.step, one.accuracy])]]));
  if (run.name) {
    $("#train-result").replaceChildren(
      h("button", { type: "button", class: "main", onclick: () => set({ model: run.name, view: "layers" }) }, "Look inside it"), " ",
      h("button", { type: "button", onclick: () => set({ model: run.name, view: "recipe" }) }, "Draw a digit for it"));
  }
}

export function chart(label, most, steps, lines) {
  const [width, height, left] = [360, 150, 34];
  const x = (step) => left + ((width - left - 8) * step) / steps;
  const y = (value) => 8 + (height - 26) * (1 - Math.min(Math.max(value, 0), most) / most);
  const text = (content, at) => svg("text", { ...at, class: "axis" }, content);
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "curve", role: "img", "aria-label": `${label} over ${steps} steps` },
    svg("path", { d: `M${left} 8V${height - 18}H${width - 8}`, class: "axes" }),
    text(most.toFixed(1), { x: left - 6, y: 14, "text-anchor": "end" }), text("0", { x: left - 6, y: height - 16, "text-anchor": "end" }),
    text(`${steps} steps`, { x: width - 8, y: height - 4, "text-anchor": "end" }),
    ...lines.map(([kind, points]) => svg("polyline", { class: kind, points: points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ") })));
}
