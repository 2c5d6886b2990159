// Elements in one call: h("p", { class: "quiet", onclick: f }, "text", child).
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value); // by CSSOM, which CSP allows
    else if (name.startsWith("aria-")) element.setAttribute(name, value); // "false" says something
    else if (name in element && typeof value !== "string") element[name] = value;
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

// What an element holds from now on; false and null stand for nothing.
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child != null && child !== false));
}

// What may be wider than the page; the arrow keys scroll it.
export const scroll = (label, ...children) =>
  h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, children);

export const $ = (selector, root = document) => root.querySelector(selector);

export function svg(tag, props = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Never 100 % for what is not certain.
export const percent = (share) =>
  share > 0.9995 && share < 1 ? `${Math.min(100 * share, 99.99).toFixed(2)} %` : `${(100 * share).toFixed(1)} %`;

// Three decimals everywhere; what would show as zero and is not, with two digits.
export function number(value) {
  if (value !== 0 && Math.abs(value) < 0.0005) return value.toExponential(1);
  return Object.is(value, -0) ? "0.000" : value.toFixed(3);
}

// Runs `work` at once, and once more at the end if it was asked for meanwhile.
export function latest(work, failed) {
  let running = false;
  let again = false;
  return async function run() {
    again = true;
    if (running) return;
    running = true;
    while (again) {
      again = false;
      try {
        await work();
      } catch (error) {
        failed(error);
      }
    }
    running = false;
  };
}

export function say(text, isError = false) {
  const line = $("#message");
  line.textContent = text;
  line.classList.toggle("wrong", isError);
}

export function save(name, content, type = "application/octet-stream") {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
