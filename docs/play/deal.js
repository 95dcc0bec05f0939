// Scene: who holds which part of the batch.
"use strict";

const Deal = {
  name: "deal", title: "A batch is dealt",
  defaults: { n: 9, s: 1, t: 0, code: "repetition", support: "spread", at: 0 },
  build(main) {
    const v = State.values;
    const facts = el("div", { class: "facts" }), grid = el("div", { class: "matrix", tabindex: 0, role: "application",
      "aria-label": "Assignment matrix: one row per part, one column per worker. Left and right move from worker to worker." });
    const says = el("p", { class: "says", role: "status" });
    const sketch = el("p", { class: "formula" });
    let cells = [];

    const look = () => {
      const w = v.at = clamp(v.at, 0, v.n - 1);
      cells.forEach(c => c.classList.toggle("here", +c.dataset.worker === w));
      const parts = Array.from({ length: Engine.x.play_load(w) }, (_, l) => Engine.x.play_part(w, l)).sort((a, b) => a - b);
      says.textContent = `Worker ${w} holds ${parts.length === 1 ? "part" : "parts"} ${parts.join(", ")}: it computes ` +
        `${parts.length} ${parts.length === 1 ? "gradient" : "gradients"} and sends one message, as long as one gradient.`;
      const terms = parts.slice(0, 6).map(p => {
        const [re, im] = Engine.coefficient(p, w);
        const by = v.code === "repetition" ? "" : v.code === "prime" ? String(re) : `(${short(re)} ${im < 0 ? "−" : "+"} ${short(Math.abs(im))}i)`;
        return `${by}${by ? " · " : ""}g${p}`;
      });
      sketch.textContent = `message ${w} = ${terms.join(" + ")}${parts.length > 6 ? " + …" : ""}${v.code === "prime" ? "  (mod 2³¹ − 1)" : ""}`;
      State.write();
    };
    const draw = () => {
      const why = Engine.open(v);
      grid.hidden = says.hidden = sketch.hidden = !!why;
      facts.replaceChildren();
      if (why) return facts.append(el("p", { class: "outcome refused", role: "status" }, why)), State.write();
      const parts = Engine.x.play_parts(), r = Engine.x.play_redundancy();
      facts.append(el("p", {}, v.code === "repetition"
        ? `${v.n} workers in ${parts} ${parts === 1 ? "group" : "groups"} of at least r = 2s + t + 1 = ${r}; each group computes one part of the batch, and s + 1 = ${v.s + 1} equal messages decide it.`
        : `${v.n} workers, ${parts} parts; each part is held by r = 2s + t + 1 = ${r} workers, and each worker holds ${r} parts.`,
        parts === 1 ? " One group: nothing is computed in parallel. Take n of at least 2r to see more." : ""));
      grid.style.gridTemplateColumns = `auto repeat(${v.n}, minmax(4px, 28px))`;
      cells = [];
      const all = [el("span", { class: "corner" }, "part")];
      for (let w = 0; w < v.n; w++) all.push(el("span", { class: "head" }, v.n <= 24 || w % 5 === 0 ? String(w) : ""));
      for (let p = 0; p < parts; p++) {
        all.push(el("span", { class: "head" }, parts <= 24 || p % 5 === 0 ? String(p) : ""));
        for (let w = 0; w < v.n; w++) {
          const c = el("span", { class: Engine.x.play_holds(w, p) ? "cell held" : "cell", "data-worker": w, "data-part": p });
          cells.push(c);
          all.push(c);
        }
      }
      grid.replaceChildren(...all);
      look();
    };
    grid.addEventListener("pointermove", e => {
      const w = e.target.dataset?.worker;
      if (w !== undefined && +w !== v.at) { v.at = +w; look(); }
    });
    grid.addEventListener("keydown", e => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (by) { e.preventDefault(); v.at += by; look(); }
    });
    main.append(
      el("p", { class: "try" }, "Try: move over the matrix to see what one worker computes and sends. Raise s by one and see every part held two more times."),
      el("div", { class: "controls" },
        numberControl("n workers", "n", 1, 45, draw), numberControl("s may lie", "s", 0, 10, draw), numberControl("t may be missing", "t", 0, 10, draw),
        choiceControl("Code", "code", [["repetition", "repetition"], ["complex", "cyclic, complex field"], ["prime", "cyclic, prime field"]], draw),
        choiceControl("Holders of a part (cyclic)", "support", [["spread", "spread"], ["contiguous", "contiguous"]], draw)),
      el("div", { class: "pair" }, grid, el("div", {}, facts, says, sketch)));
    draw();
  },
};
