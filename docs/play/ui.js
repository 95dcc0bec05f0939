// Small pieces that scenes are made of, and the state of the page, which lives in its address.
"use strict";

function el(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "rect", "circle", "line", "path", "polyline", "text"].includes(tag);
  const e = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else if (v === true) e.setAttribute(k, "");
    else if (v !== false && v != null) e.setAttribute(k, v);
  }
  e.append(...children.flat().filter(c => c != null));
  return e;
}

// #scene?n=9&s=1: every state has a link.
const State = {
  scene: "", values: {},
  read(scenes) {
    const [name, query] = decodeURIComponent(location.hash.slice(1)).split("?");
    const scene = scenes.find(s => s.name === name) || scenes[0];
    this.scene = scene.name;
    this.values = { ...scene.defaults };
    for (const [k, v] of new URLSearchParams(query || "")) {
      if (!(k in scene.defaults)) continue;
      this.values[k] = typeof scene.defaults[k] === "number" ? (Number.isFinite(+v) ? +v : scene.defaults[k]) : v;
    }
    return scene;
  },
  write() { history.replaceState(null, "", "#" + this.scene + "?" + new URLSearchParams(this.values)); },
};

function clamp(v, low, high) { return Math.min(high, Math.max(low, v)); }

// A number with a slider and a field of the same value.
function numberControl(label, key, low, high, changed) {
  const value = State.values[key] = clamp(Math.round(State.values[key]), low, high);
  const set = source => {
    const v = clamp(Math.round(+source.value) || low, low, high);
    State.values[key] = v;
    slider.value = v;
    if (source !== field || source.value !== "") field.value = v;
    changed();
  };
  const slider = el("input", { type: "range", min: low, max: high, value, "aria-label": label, oninput: e => set(e.target) });
  const field = el("input", { type: "number", min: low, max: high, value, id: "set-" + key, onchange: e => set(e.target) });
  return el("div", { class: "control" }, el("label", { for: "set-" + key }, label), slider, field);
}

function choiceControl(label, key, options, changed) {
  if (!options.some(o => o[0] === State.values[key])) State.values[key] = options[0][0];
  const select = el("select", { id: "set-" + key, onchange: e => { State.values[key] = e.target.value; changed(); } },
    options.map(([v, text]) => el("option", { value: v, selected: v === State.values[key] }, text)));
  return el("div", { class: "control" }, el("label", { for: "set-" + key }, label), select);
}

function button(text, action) { return el("button", { type: "button", onclick: action }, text); }

// kinds: the digits in the address, one per worker.
function kindsOf(n) { return Array.from({ length: n }, (_, i) => clamp(+(State.values.lies[i] || 0) || 0, 0, Kinds.length - 1)); }
function setKind(n, worker, kind) {
  const k = kindsOf(n);
  k[worker] = kind;
  State.values.lies = k.join("");
}

// Buttons for workers: a click, Enter or a drag over several gives them the behaviour chosen in "A click makes it".
function workerButton(i, n, changed, place) {
  const b = el("button", { type: "button", class: "worker", "data-worker": i, ...place });
  const apply = kind => { if (kindsOf(n)[i] !== kind) { setKind(n, i, kind); changed(); } };
  const wanted = () => (kindsOf(n)[i] === +State.values.lie ? 0 : +State.values.lie);
  b.addEventListener("pointerdown", e => { if (e.button === 0) { Painting.kind = wanted(); if (b.hasPointerCapture(e.pointerId)) b.releasePointerCapture(e.pointerId); apply(Painting.kind); } });
  b.addEventListener("pointerenter", () => { if (Painting.kind !== null) apply(Painting.kind); });
  b.addEventListener("keydown", e => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); apply(wanted()); } });
  return b;
}
const Painting = { kind: null };
addEventListener("pointerup", () => { Painting.kind = null; });
addEventListener("pointercancel", () => { Painting.kind = null; });

function showWorker(b, i, kind, verdict) {
  b.dataset.verdict = Verdicts[verdict];
  b.dataset.kind = Kinds[kind];
  b.setAttribute("aria-label", `worker ${i}: ${Kinds[kind]}; verdict: ${Verdicts[verdict]}`);
  b.title = b.getAttribute("aria-label");
}

function lieControl() {
  return choiceControl("A click makes it", "lie", Kinds.map((k, i) => [String(i), k]).slice(1), () => State.write());
}

function outcome(r) {
  if (r.why) return el("p", { class: "outcome refused", role: "status" }, r.why);
  const good = r.status >= 0;
  const wrong = good && !r.same && r.off > 1e-4;
  return el("p", { class: "outcome " + (wrong ? "wrong" : good ? "good" : "refused"), role: "status", "data-status": r.status },
    el("strong", {}, wrong ? "Decoded, and wrong. " : good ? "Decoded. " : "Refused. "), r.text + ". ",
    good ? (r.same ? "The sum has the same bits as without liars." : `The sum is off by ${r.off.toExponential(1)} of its size.`) : "");
}

function legend() {
  return el("p", { class: "legend" }, "Verdicts: ✓ agrees, ✗ blamed, – absent, ! malformed, ~ suspected, ? undecided. A wavy line marks who really misbehaves.");
}

// A canvas as wide as its place; draw(context, width, height) in CSS pixels.
function canvas(height, label, draw) {
  const c = el("canvas", { role: "img", "aria-label": label, style: `height:${height}px` });
  c.redraw = () => {
    const w = c.clientWidth || 300, scale = devicePixelRatio || 1;
    c.width = Math.round(w * scale);
    c.height = Math.round(height * scale);
    const g = c.getContext("2d");
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.font = "12px system-ui, sans-serif";
    draw(g, w, height);
  };
  new ResizeObserver(() => c.redraw()).observe(c);
  return c;
}

function ink(name) { return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(); }
function short(v) { return v === 0 ? "0" : Math.abs(v) >= 1e5 || Math.abs(v) < 1e-3 ? v.toExponential(1) : String(+v.toPrecision(4)); }

// A chart of bars with their numbers; log: the height is the logarithm above `floor`; top: the least height of the scale.
function bars(g, w, h, values, { log = false, floor = 1e-9, top = 0 } = {}) {
  const most = Math.max(top, ...values, log ? floor * 10 : 1e-30), step = w / Math.max(values.length, 1);
  values.forEach((v, i) => {
    const part = log ? Math.log(Math.max(v, floor) / floor) / Math.log(most / floor) : v / most;
    const high = Math.max(1, part * (h - 22));
    g.fillStyle = ink("accent");
    g.fillRect(i * step + 1, h - 16 - high, Math.max(1, step - 2), high);
    if (step > 22 || i % Math.ceil(22 / step) === 0) {
      g.fillStyle = ink("ink");
      g.textAlign = "center";
      g.fillText(String(i), i * step + step / 2, h - 3);
    }
  });
}
