// Scene: the vote of the repetition code.
"use strict";

const Vote = {
  name: "vote", title: "The vote",
  defaults: { n: 15, s: 2, t: 0, lie: "2", lies: "", seed: 1 },
  build(main) {
    const v = State.values, board = el("div", { class: "groups" }), result = el("div"), why = el("p", { class: "says" });
    let buttons = [], shape = "";
    const code = () => ({ n: v.n, s: v.s, t: v.t, code: "repetition", support: "spread" });

    const draw = () => {
      const kinds = kindsOf(v.n), r = Engine.round(code(), kinds, v.seed, 8);
      result.replaceChildren(outcome(r));
      board.hidden = !!r.why;
      State.write();
      if (r.why) return void (why.textContent = "");
      const groups = Engine.x.play_groups();
      if (shape !== v.n + "/" + groups) { // the buttons stay while only behaviours change, so that focus stays
        shape = v.n + "/" + groups;
        buttons = Array.from({ length: v.n }, (_, i) => workerButton(i, v.n, draw));
        board.replaceChildren(...Array.from({ length: groups }, (_, g) => el("section", { class: "group", "data-group": g },
          el("h3", {}, `Group ${g}`, el("span", { class: "decision" })),
          el("div", { class: "members" }, buttons.filter((_, i) => Engine.x.play_group(i) === g)))));
      }
      const tally = Array.from({ length: groups }, () => new Map());
      buttons.forEach((b, i) => {
        const f = Engine.fingerprint(i), absent = r.verdicts[i] === 3, hex = f.slice(0, 2).map(x => x.toString(16).padStart(2, "0")).join("");
        showWorker(b, i, kinds[i], r.verdicts[i]);
        b.replaceChildren(el("b", {}, String(i)), el("span", { class: "chip", style: absent ? "" : `--hue:${(f[0] * 256 + f[1]) % 360}` }, absent ? "····" : hex),
          el("span", { class: "verdict" }, Symbols[r.verdicts[i]]));
        if (!absent) { const t = tally[Engine.x.play_group(i)], id = f.join(); t.set(id, (t.get(id) || 0) + 1); }
      });
      tally.forEach((t, g) => {
        const counts = [...t.values()].sort((a, b) => b - a), over = counts.filter(c => c > v.s).length;
        board.children[g].querySelector(".decision").textContent = ` ${counts.join(" : ") || "nobody"} — ` +
          (over === 1 ? "decided" : over ? "two values have s + 1: refused" : `nobody has s + 1 = ${v.s + 1}: refused`);
      });
      why.textContent = r.status >= 0 && !r.same
        ? `More than s = ${v.s} workers of one group sent the same false message. The server sees s + 1 equal messages, exactly what honest workers would send: no decoder can tell. Choose s so that this many cannot conspire.`
        : "Workers of one group computed the same part, so honest messages are equal, byte for byte. The colour and the four digits are the fingerprint of a message, under a key that the server drew after the message was made.";
    };
    const collude = () => {
      const g = 0;
      let left = v.s + 1;
      const k = kindsOf(v.n).map((_, i) => (i % Math.max(1, Math.floor(v.n / (2 * v.s + v.t + 1))) === g && left-- > 0 ? 5 : 0));
      v.lies = k.join("");
      draw();
    };
    main.append(
      el("p", { class: "try" }, "Try: click workers to make them lie, or drag over several. Lie with s workers of a group, then with s + 1 that differ, then let s + 1 collude."),
      el("div", { class: "controls" },
        numberControl("n workers", "n", 1, 45, draw), numberControl("s may lie", "s", 0, 10, draw), numberControl("t may be missing", "t", 0, 10, draw), lieControl(),
        el("div", { class: "buttons" }, button("All honest", () => { v.lies = ""; draw(); }), button("s + 1 collude", collude),
          button("Next round", () => { v.seed = v.seed % 9999 + 1; draw(); }))),
      result, board, legend(), why);
    draw();
  },
};
