// The frame: which scene is shown, large type, links.
"use strict";

// In the order of a lecture. Rounds with a challenge and reactive redundancy belong before Train, once draco.h has them.
const Scenes = [Deal, Vote, Curve, Cyclic, Train];

function show() {
  const scene = State.read(Scenes), main = document.getElementById("main");
  document.querySelectorAll("#nav a").forEach(a => {
    if (a.dataset.scene === scene.name) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
  });
  main.replaceChildren(el("h2", {}, scene.title));
  scene.build(main);
  document.title = `Draco: ${scene.title}`;
}

function largeType(on) {
  document.documentElement.classList.toggle("large", on);
  document.getElementById("speaker").setAttribute("aria-pressed", String(on));
  dispatchEvent(new Event("resize"));
}

Engine.boot().then(() => {
  document.getElementById("nav").append(...Scenes.map(s => el("li", {}, el("a", { href: "#" + s.name, "data-scene": s.name }, s.title))));
  document.getElementById("speaker").addEventListener("click", e => largeType(e.target.getAttribute("aria-pressed") !== "true"));
  document.getElementById("link").addEventListener("click", async e => {
    try { await navigator.clipboard.writeText(location.href); e.target.textContent = "Copied"; } catch { e.target.textContent = "See the address"; }
    setTimeout(() => { e.target.textContent = "Copy link"; }, 1500);
  });
  addEventListener("hashchange", show);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
  document.documentElement.dataset.ready = performance.now().toFixed(0); // milliseconds since the page was opened
}, error => {
  document.getElementById("main").textContent = "The module did not start: " + error.message;
});
