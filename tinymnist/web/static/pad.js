// A pad to draw on: mouse, touch, pen, or keyboard (arrows move, space puts the pen down and up).
import { h } from "./dom.js";

const SIDE = 280;
const PEN = 20;
const NEAR = 4; // points closer than this are one
const STEP = 8; // of an arrow key

export function pad(label, changed) {
  const canvas = h("canvas", {
    class: "pad",
    width: SIDE,
    height: SIDE,
    tabindex: "0",
    role: "img",
    "aria-label": `${label}. Draw with the mouse or a finger; or use the arrow keys, space to put the pen down or up, Delete to clear.`,
  });
  let strokes = [];
  let line = null; // the stroke being drawn
  let pen = null; // the keyboard's place
  let penDown = false;

  function show() {
    drawStrokes(canvas, strokes);
    if (!pen || document.activeElement !== canvas) return;
    const context = canvas.getContext("2d");
    context.strokeStyle = penDown ? "#c4540f" : "#2563a8";
    context.lineWidth = 3;
    context.beginPath();
    context.arc(pen[0], pen[1], PEN / 2, 0, 7);
    context.stroke();
  }

  const place = (event) => {
    const area = canvas.getBoundingClientRect();
    const share = [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
    return share.map((part) => Math.round(Math.min(Math.max(part, 0), 1) * SIDE));
  };

  function add(point) {
    const last = line[line.length - 1];
    if (last && Math.hypot(point[0] - last[0], point[1] - last[1]) < NEAR) return;
    line.push(point);
    show();
    changed(strokes);
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pen = null;
    line = [];
    strokes = [...strokes, line];
    add(place(event));
    event.preventDefault();
    canvas.focus({ preventScroll: true });
  });
  canvas.addEventListener("pointermove", (event) => line && event.buttons && add(place(event)));
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (line = null));

  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const move = moves[event.key];
    if (!move && event.key !== " " && event.key !== "Delete" && event.key !== "Backspace") return;
    event.preventDefault();
    if (move) {
      const from = pen ?? [SIDE / 2, SIDE / 2];
      pen = from.map((value, axis) => Math.min(Math.max(value + move[axis], 0), SIDE));
      if (penDown) add(pen);
    } else if (event.key === " ") {
      pen ??= [SIDE / 2, SIDE / 2];
      penDown = !penDown;
      line = penDown ? [] : null;
      if (penDown) {
        strokes = [...strokes, line];
        add(pen);
      }
    } else {
      penDown = false;
      setStrokes([]);
      changed(strokes);
    }
    show();
  });
  canvas.addEventListener("blur", () => {
    penDown = false;
    line = null;
    show();
  });

  function setStrokes(given) {
    strokes = given.filter((stroke) => stroke.length).map((stroke) => [...stroke]);
    line = null;
    show();
  }
  show();
  return { canvas, setStrokes, strokes: () => strokes };
}

function drawStrokes(canvas, strokes) {
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, SIDE, SIDE);
  context.strokeStyle = context.fillStyle = "#111";
  context.lineWidth = PEN;
  context.lineCap = context.lineJoin = "round";
  for (const line of strokes) {
    context.beginPath();
    context.moveTo(...line[0]);
    for (const point of line) context.lineTo(...point);
    context.stroke();
  }
}

// The drawing as a PNG file, black on white.
export function toBlob(strokes) {
  const canvas = h("canvas", { width: SIDE, height: SIDE });
  drawStrokes(canvas, strokes.filter((line) => line.length));
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
