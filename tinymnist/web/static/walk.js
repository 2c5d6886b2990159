// The guided walk: nine chapters, each with one thing to try and a lesson of `tinymnist lesson`.
import { $, h } from "./dom.js";
import { set, state } from "./state.js";

const CHAPTERS = [
  ["A picture is numbers", "recipe", "A camera gives a brightness for every pixel. MNIST, on which the network was trained, has 28×28 of them: white ink on black, centred, 20 pixels tall.",
    "Draw a 7 at the left and watch it become 28×28.", 1],
  ["Why other people’s recipe fails", "recipe", "Tutorials resize a photo and divide by 255. Paper stays white, the digit stays where it was: for the network that is not a digit.",
    "Choose the tilted photo and compare the two answers at the bottom. Then switch “polarity” off.", 2],
  ["A convolution", "layers", "A kernel slides over the picture. Each output is a patch times the kernel, number by number, and summed.",
    "Choose the first layer, point at a bright pixel of its map, and follow the products to the sum.", 7],
  ["Deeper means wider", "layers", "Each output depends on a small patch of the layer before, and through it on a larger one of the photo: its receptive field.",
    "Choose the last convolution and see how far into the photo one number of it looks.", 9],
  ["Ten numbers become shares", "answer", "The last layer gives one score per class. The softmax turns scores into shares that sum to 1; the loss is −ln of the right one’s.",
    "Choose a wrong label and watch the loss.", 4],
  ["What did it look at?", "why", "Cover some pixels and see how far the probability falls; or ask the gradient how the score would change.",
    "Ask why it is not a 1: which pixels speak against it?", 6],
  ["Break it", "change", "A network is numbers. Change one, and a few answers change; switch off whole filters, and you see how much is redundant.",
    "Turn the picture by 40 degrees. Then undo that, and switch off filters until 180 of 200 digits are read.", 13],
  ["Watch it learn", "train", "Training shows the network a batch of digits, measures the loss, and moves every weight a little against its gradient.",
    "Start with a learning rate of 0.002. Then try 1, and 0.00001.", 12],
  ["Teach it your own sign", "teach", "The lower layers find strokes and corners, which other signs have too. So only the last layer has to be new.",
    "Draw a heart five times, teach it, and then draw one at the left.", 14],
];

export function build() {
  $("#walk").addEventListener("click", () => go(state.walk === null ? 1 : null));
}

function go(chapter) {
  set(chapter === null ? { walk: null } : { walk: chapter, view: CHAPTERS[chapter - 1][1] });
}

export function render() {
  const box = $("#chapter");
  const chapter = state.walk;
  $("#walk").setAttribute("aria-expanded", chapter !== null);
  box.hidden = !(chapter >= 1 && chapter <= CHAPTERS.length);
  if (box.hidden) return;
  const [heading, , text, task, lesson] = CHAPTERS[chapter - 1];
  box.replaceChildren(
    h("p", { class: "count" }, `Chapter ${chapter} of ${CHAPTERS.length}`),
    h("h2", {}, heading),
    h("p", {}, text),
    h("p", { class: "try" }, h("b", {}, "Try: "), task),
    h("p", { class: "quiet" }, "Write it in Python yourself, and have it checked: ", h("code", {}, `tinymnist lesson ${lesson}`)),
    h("p", { class: "buttons" },
      h("button", { type: "button", id: "walk-back", disabled: chapter === 1, onclick: () => go(chapter - 1) }, "Back"),
      h("button", { type: "button", class: "main", id: "walk-next", onclick: () => go(chapter === CHAPTERS.length ? null : chapter + 1) }, chapter === CHAPTERS.length ? "Done" : "Next"),
      h("button", { type: "button", class: "plain", onclick: () => go(null) }, "Close")));
}
