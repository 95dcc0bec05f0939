// Scene: points on a line or a parabola; one of them is dragged off, and two syndromes give it away. Plain arithmetic,
// small enough to check by hand (docs/codes.md, section 3).
"use strict";

const Curve = {
  name: "curve", title: "Points on a curve",
  defaults: { degree: "2", field: "reals", off: "", secret: 30 },
  build(main) {
    const v = State.values, P = 97, W = 640, H = 380;
    const svg = el("svg", { viewBox: `0 0 ${W} ${H}`, class: "curve", role: "group", "aria-label": "The points; up and down arrows move the one in focus" });
    const facts = el("div", { class: "facts" }), result = el("p", { class: "outcome", role: "status" });
    const mod = () => v.field === "mod97";
    const norm = a => (mod() ? ((Math.round(a) % P) + P) % P : a);
    const inverse = a => { if (!mod()) return 1 / a; let r = 1, b = norm(a); for (let e = P - 2; e; e >>= 1, b = b * b % P) if (e & 1) r = r * b % P; return r; };
    const div = (a, b) => norm(norm(a) * inverse(b));
    const count = () => +v.degree + 3;
    const honest = x => norm(v.degree === "1" ? v.secret + 7 * x : v.secret + 12 * x - 3 * x * x);
    const offs = () => Array.from({ length: count() }, (_, i) => clamp(+v.off.split("_")[i] || 0, -1000, 1000));
    const dual = i => { let p = 1; for (let m = 0; m < count(); m++) if (m !== i) p = norm(p * (i - m)); return inverse(p); };
    // Lagrange through the points `use`, read at x.
    const through = (use, y, x) => norm(use.reduce((sum, i) => sum + norm(y[i] * use.reduce((p, m) => (m === i ? p : norm(p * div(x - m - 1, i - m))), 1)), 0));
    const X = x => 40 + x * (W - 70) / (count() + 0.3), Y = y => mod() ? H - 25 - y * (H - 50) / P : H / 2 + 40 - y * 3.2;
    let dots = [], drag = null;

    const draw = () => {
      const n = count(), off = offs(), y = off.map((o, i) => norm(honest(i + 1) + o)), all = y.map((_, i) => i);
      const s0 = norm(all.reduce((a, i) => a + norm(dual(i) * y[i]), 0)), s1 = norm(all.reduce((a, i) => a + norm(norm(dual(i) * (i + 1)) * y[i]), 0));
      const small = mod() ? 0.5 : 1e-6, fine = Math.abs(s0) < small && Math.abs(s1) < small;
      const quotient = Math.abs(s0) < small ? NaN : div(s1, s0), liar = Math.round(quotient) - 1;
      const found = !fine && Math.abs(quotient - liar - 1) < 1e-3 && liar >= 0 && liar < n;
      const use = all.filter(i => !found || i !== liar).slice(0, +v.degree + 1);
      const zero = through(use, y, 0), truth = honest(0);
      svg.replaceChildren();
      svg.append(el("line", { x1: X(0), x2: X(0), y1: 5, y2: H - 20, class: "axis" }));
      if (!mod() && (fine || found)) {
        const line = Array.from({ length: 81 }, (_, k) => { const x = k * (n + 0.3) / 80; return `${X(x)},${Y(through(use, y, x))}`; });
        svg.append(el("polyline", { points: line.join(" "), class: "through" }));
      }
      if (fine || found) svg.append(el("rect", { x: X(0) - 7, y: Y(zero) - 7, width: 14, height: 14, class: "secret" }), el("text", { x: X(0) + 14, y: Y(zero) - 10 }, `F(0) = ${short(zero)}`));
      dots = all.map(i => {
        const c = el("circle", { cx: X(i + 1), cy: Y(y[i]), r: 11, tabindex: 0, class: found && liar === i ? "dot blamed" : "dot", "data-point": i, role: "slider",
          "aria-label": `worker ${i}, x = ${i + 1}`, "aria-valuenow": short(y[i]), "aria-valuetext": `${short(y[i])}${found && liar === i ? ", blamed" : ""}` });
        c.addEventListener("pointerdown", e => { drag = i; svg.setPointerCapture(e.pointerId); e.preventDefault(); });
        svg.append(c, el("text", { x: X(i + 1), y: H - 6, "text-anchor": "middle" }, `x = ${i + 1}`),
          el("text", { x: X(i + 1) + 15, y: Y(y[i]) + 5 }, short(y[i]) + (found && liar === i ? " ✗" : "")));
        return c;
      });
      facts.replaceChildren(
        el("p", {}, `${n} points, degree ${v.degree}: two more than needed, so there are two syndromes, both 0 on every ${v.degree === "1" ? "line" : "parabola"}${mod() ? ", all modulo 97" : ""}.`),
        el("dl", { class: "numbers" }, ["S₀ = Σ wᵢ yᵢ", "S₁ = Σ wᵢ xᵢ yᵢ", "S₁ / S₀", "F(0)"].map((name, k) =>
          el("div", {}, el("dt", {}, name), el("dd", { "data-value": ["s0", "s1", "quotient", "zero"][k] },
            k === 0 ? short(fine ? 0 : s0) : k === 1 ? short(fine ? 0 : s1) : k === 2 ? (Number.isNaN(quotient) ? "—" : short(quotient)) : fine || found ? short(zero) : "refused")))));
      const right = Math.abs(zero - truth) < 1e-3;
      result.className = "outcome " + (fine || found ? (right ? "good" : "wrong") : "refused");
      result.textContent = fine ? (right ? "Both syndromes are 0: the points lie on one curve." : "Both syndromes are 0, and F(0) is wrong: enough workers agreed on another curve, and no decoder can tell.")
        : found ? `S₁ / S₀ = ${liar + 1} is the place of the liar: worker ${liar}. Without it the others give F(0) = ${short(zero)}${right ? ", as before." : ". That is wrong: more than one point was moved, and together they look like one liar."}`
          : "S₁ / S₀ is nobody's place: more than one point was moved. Refused.";
      State.write();
    };
    const move = (i, value) => {
      const o = offs();
      o[i] = mod() ? norm(value - honest(i + 1)) : Math.round((value - honest(i + 1)) * 2) / 2;
      v.off = o.join("_");
      draw();
      return dots[i];
    };
    svg.addEventListener("pointermove", e => {
      if (drag === null) return;
      const box = svg.getBoundingClientRect(), py = (e.clientY - box.top) * H / box.height;
      move(drag, mod() ? clamp(Math.round((H - 25 - py) * P / (H - 50)), 0, P - 1) : (H / 2 + 40 - py) / 3.2);
    });
    svg.addEventListener("pointerup", () => { drag = null; });
    svg.addEventListener("keydown", e => {
      const by = { ArrowUp: 1, ArrowDown: -1 }[e.key], i = e.target.dataset.point;
      if (!by || i === undefined) return;
      e.preventDefault();
      move(+i, norm(honest(+i + 1) + offs()[+i]) + by).focus();
    });
    main.append(
      el("p", { class: "try" }, "Try: drag one point off the curve. The quotient of the two syndromes is its place, and F(0) stays. Then move a second one."),
      el("div", { class: "controls" },
        choiceControl("Curve", "degree", [["2", "parabola: n = 5, s = 1"], ["1", "line: n = 4, s = 1"]], () => { v.off = ""; draw(); }),
        choiceControl("Calculate with", "field", [["reals", "real numbers"], ["mod97", "whole numbers modulo 97"]], () => { v.off = ""; draw(); }),
        numberControl("Secret F(0)", "secret", 0, 60, draw), el("div", { class: "buttons" }, button("All honest", () => { v.off = ""; draw(); }))),
      result, svg, facts);
    draw();
  },
};
