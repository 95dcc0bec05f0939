// Scene: the cyclic code at any n, s, t.
"use strict";

const Cyclic = {
  name: "cyclic", title: "The cyclic code",
  defaults: { n: 15, s: 3, t: 0, code: "prime", support: "spread", lie: "1", lies: "", seed: 1 },
  build(main) {
    const v = State.values;
    const ring = el("div", { class: "ring" }), place = el("p", { class: "says" }), result = el("div"), facts = el("div", { class: "facts" });
    let buttons = [], shape = "", data = null;
    const code = (support = v.support) => ({ n: v.n, s: v.s, t: v.t, code: v.code, support });
    const size = z => v.code === "prime" ? Math.min(z[0], 0x7fffffff - z[0]) : Math.hypot(...z);

    const plots = [
      ["Syndromes |S₀|, |S₁|, … of the first coordinate", "syndromes", 120, (g, w, h) => bars(g, w, h, data.before, { log: true, floor: v.code === "prime" ? 1 : 1e-7 })],
      ["… after the blamed and the missing are divided out: 0 means that they explain everything", "annihilated", 90, (g, w, h) => data.after.length
        ? bars(g, w, h, data.after, { log: true, floor: v.code === "prime" ? 1 : 1e-7, top: Math.max(...data.before) }) : g.fillText("no redundancy is left to check with", 4, 20)],
      ["The locator |Λ(xᵢ)|: its roots are the places of the liars", "locator", 120, (g, w, h) => {
        bars(g, w, h, data.locator, { log: true, floor: v.code === "prime" ? 1 : 1e-4 });
        data.locator.forEach((z, i) => { if (data.r.verdicts[i] === 2) { g.fillStyle = ink("blamed"); g.fillText("✗", (i + 0.5) * w / v.n, h - 20); } });
      }],
      ["Weights |vᵢ| of the messages in the sum", "weights", 120, (g, w, h) => bars(g, w, h, data.weights)],
    ].map(([title, name, height, draw]) => {
      const c = canvas(height, title, (g, w, h) => { g.fillStyle = ink("ink"); if (data) draw(g, w, h); });
      return { c, box: el("figure", { "data-plot": name }, el("figcaption", {}, title), c) };
    });

    // |f_k(x_i)| of every part (row) and worker (column), darker is larger; one scale for both maps.
    const heat = ["spread", "contiguous"].map(support => {
      const caption = el("figcaption"), c = canvas(240, `Coefficients, ${support} holders`, (g, w, h) => {
        const values = heatData[support];
        if (!values) return;
        const side = Math.min(w, h) / v.n, floor = 0.01, top = Math.log(Math.max(heatData.most, 1) / floor);
        values.forEach((z, j) => {
          if (z === 0) return;
          g.fillStyle = ink("accent");
          g.globalAlpha = clamp(0.12 + 0.88 * Math.log(Math.max(z, floor) / floor) / top, 0.05, 1);
          g.fillRect((j % v.n) * side, Math.floor(j / v.n) * side, Math.max(side - 0.5, 1), Math.max(side - 0.5, 1));
        });
        g.globalAlpha = 1;
      });
      return { support, caption, c, box: el("figure", { "data-heat": support }, caption, c) };
    });
    let heatData = {}, heatKey = "";
    const heatBox = el("div", { class: "pair narrow" }, heat.map(h => h.box)), heatSays = el("p", { class: "says" });
    const drawHeat = () => {
      const k = [v.n, v.s, v.t].join();
      if (k === heatKey) return;
      heatKey = k;
      heatData = { most: 0 };
      for (const { support, caption } of heat) {
        const c = { ...code(support), code: "complex" }, r = Engine.round(c, kindsOf(v.n).map(() => 0), 1, 8);
        const values = heatData[support] = [];
        for (let p = 0; p < v.n; p++) for (let w = 0; w < v.n; w++) values.push(Math.hypot(...Engine.coefficient(p, w)));
        const most = Math.max(...values);
        heatData.most = Math.max(heatData.most, most);
        caption.textContent = `${support}: largest |f| = ${short(most)}; in float32 the sum without a liar is ` +
          (r.status < 0 ? "refused: rounding would spoil it" : `off by ${short(r.exact)} of its size`);
      }
      heat.forEach(h => h.c.redraw());
      heatSays.textContent = "A message is rounded to 24 bits after its gradients were multiplied by these numbers: what is large here is lost in the sum. In the prime field nothing is rounded, and either choice is exact.";
    };

    const draw = () => {
      const kinds = kindsOf(v.n), r = Engine.round(code(), kinds, v.seed, 8);
      result.replaceChildren(outcome(r));
      [place, ring, facts, heatBox, heatSays, ...plots.map(p => p.box)].forEach(e => { e.hidden = !!r.why; });
      State.write();
      if (r.why) return;
      const q = 2 * v.s + v.t, pairs = at => Engine.pairs(at, v.n).map(size);
      data = { r, before: Engine.pairs(Engine.x.play_syndromes(), q).map(size) };
      data.left = Engine.x.play_annihilated();
      data.after = Engine.pairs(Engine.x.play_numbers(), data.left).map(size);
      data.locator = pairs(Engine.x.play_locator());
      data.weights = pairs(Engine.x.play_weights());
      if (shape !== v.n + v.code) {
        shape = v.n + v.code;
        buttons = Array.from({ length: v.n }, (_, i) => {
          const a = 2 * Math.PI * i / v.n, rows = v.n > 30 ? 3 : v.n > 16 ? 2 : 1, far = 44 - 11 * (i % rows); // staggered, so that none hides another
          const where = v.code === "complex" ? { style: `left:${50 + far * Math.cos(a)}%;top:${50 - far * Math.sin(a)}%` } : {};
          return workerButton(i, v.n, draw, where);
        });
        place.textContent = v.code === "complex" ? "Worker i stands at xᵢ = exp(2πi · i / n) and sends F(xᵢ)." : "Worker i stands at xᵢ = i + 1 and sends F(xᵢ) modulo 2³¹ − 1.";
        ring.className = v.code === "complex" ? "ring" : "ring straight";
        ring.replaceChildren(...buttons);
      }
      buttons.forEach((b, i) => { showWorker(b, i, kinds[i], r.verdicts[i]); b.replaceChildren(el("b", {}, String(i)), el("span", { class: "verdict" }, Symbols[r.verdicts[i]])); });
      const liars = kinds.filter(k => k && k < 6).length, missing = kinds.filter(k => k >= 6).length;
      facts.replaceChildren(el("dl", { class: "numbers" }, [
        ["2 liars + missing", `${2 * liars + missing} of ${q}`], ["degree of F", String(v.n - 1 - q)],
        ["spare", String(r.spare)], ["gain", v.code === "prime" ? "exact" : short(r.gain)],
        ["sum, first coordinate", short(r.sum[0])], ["without liars", short(r.honest[0])],
      ].map(([a, b]) => el("div", {}, el("dt", {}, a), el("dd", {}, b)))));
      plots.forEach(p => p.c.redraw());
      if (Painting.kind === null) drawHeat();
    };
    addEventListener("pointerup", () => { if (State.scene === "cyclic" && ring.isConnected) drawHeat(); });
    main.append(
      el("p", { class: "try" }, "Try: drag over s workers to make them lie: the syndromes rise, the locator falls to zero at their places, their weights vanish. Then one more. Then choose the complex field and contiguous holders."),
      el("div", { class: "controls" },
        numberControl("n workers", "n", 1, 45, draw), numberControl("s may lie", "s", 0, 14, draw), numberControl("t may be missing", "t", 0, 14, draw),
        choiceControl("Field", "code", [["prime", "prime, 2³¹ − 1"], ["complex", "complex numbers"]], draw),
        choiceControl("Holders of a part", "support", [["spread", "spread"], ["contiguous", "contiguous"]], draw), lieControl(),
        el("div", { class: "buttons" }, button("All honest", () => { v.lies = ""; draw(); }),
          button("s neighbours lie", () => { v.lies = Array.from({ length: v.n }, (_, i) => (i < v.s ? 4 : 0)).join(""); draw(); }),
          button("Next round", () => { v.seed = v.seed % 9999 + 1; draw(); }))),
      result, el("div", { class: "pair" }, el("div", {}, place, ring, legend(), facts, heatBox, heatSays), el("div", {}, plots.map(p => p.box))));
    draw();
  },
};
