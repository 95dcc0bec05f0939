// Scene: a small model trained by workers of which some lie, three ways side by side.
"use strict";

const Train = {
  name: "train", title: "Training",
  defaults: { n: 15, s: 3, code: "prime", attack: "reverse", seed: 1, rate: "1", steps: 60 },
  build(main) {
    const v = State.values, names = ["mean", "geometric median", "DRACO"], colours = ["lane0", "lane1", "lane2"];
    const result = el("div"), table = el("table", { class: "lanes" });
    let history = [], step = 0, timer = null, broken = "";
    const lane = i => { const x = Engine.doubles(Engine.x.play_lane(i), 6); return { loss: x[0], accuracy: x[1], blamed: x[2], w: x.slice(3), digest: Engine.text(Engine.x.play_digest(i)) }; };
    const cloud = () => Array.from({ length: 240 }, (_, k) => Engine.doubles(Engine.x.play_cloud(k), 3));
    let points = [], lanes = [];

    const picture = canvas(300, "The two clouds of points, and the line of each of the three models", (g, w, h) => {
      const at = (x, y) => [w / 2 + x * w / 7, h / 2 - y * h / 6];
      for (const [x, y, side] of points) {
        g.fillStyle = ink(side ? "accent" : "muted");
        g.beginPath();
        if (side) g.arc(...at(x, y), 3, 0, 7); else { const [a, b] = at(x, y); g.rect(a - 2.5, b - 2.5, 5, 5); }
        g.fill();
      }
      lanes.slice(0, 3).forEach(({ w: [a, b, c] }, i) => { // a x + b y + c = 0
        if (!(Math.hypot(a, b) > 1e-6)) return;
        const far = 9, q = a * a + b * b, x0 = -a * c / q, y0 = -b * c / q, k = far / Math.sqrt(q);
        g.strokeStyle = ink(colours[i]);
        g.lineWidth = 2.5;
        g.setLineDash([[2, 4], [8, 4], []][i]);
        g.beginPath();
        g.moveTo(...at(x0 - b * k, y0 + a * k));
        g.lineTo(...at(x0 + b * k, y0 - a * k));
        g.stroke();
      });
      g.setLineDash([]);
    });
    const curves = canvas(220, "Loss against steps", (g, w, h) => {
      const most = Math.min(5, Math.max(1, ...history.flat())), X = k => 34 + k * (w - 40) / Math.max(v.steps, 1), Y = y => h - 20 - Math.min(y, most) / most * (h - 40);
      g.fillStyle = ink("ink");
      g.fillText(`loss (0 … ${short(most)}), ${step} of ${v.steps} steps`, 36, 12);
      g.strokeStyle = ink("line");
      g.strokeRect(34, 20, w - 40, h - 40);
      [0, 1, 2].forEach(i => {
        g.strokeStyle = ink(colours[i]);
        g.lineWidth = 2;
        g.setLineDash([[2, 4], [8, 4], []][i]);
        g.beginPath();
        history.forEach((l, k) => g[k ? "lineTo" : "moveTo"](X(k), Y(Number.isFinite(l[i]) ? l[i] : most)));
        g.stroke();
      });
      g.setLineDash([]);
    });

    const show = () => {
      lanes = Array.from({ length: 6 }, (_, i) => lane(i));
      table.replaceChildren(el("caption", {}, `${v.s} of ${v.n} workers lie in every step`),
        el("thead", {}, el("tr", {}, ["", "loss", "accuracy", "blamed in this step", "digest of the model", "digest without liars", "same"].map(t => el("th", { scope: "col" }, t)))),
        el("tbody", {}, names.map((name, i) => {
          const same = lanes[i].digest === lanes[i + 3].digest;
          return el("tr", { "data-lane": name, class: colours[i] }, el("th", { scope: "row" }, ["··· ", "– – ", "— "][i] + name), el("td", {}, short(lanes[i].loss)), el("td", {}, (100 * lanes[i].accuracy).toFixed(1) + "%"),
            el("td", {}, String(lanes[i].blamed)), el("td", { class: "digest" }, lanes[i].digest), el("td", { class: "digest" }, lanes[i + 3].digest), el("td", { class: same ? "yes" : "no" }, same ? "✓ yes" : "✗ no"));
        })));
      picture.redraw();
      curves.redraw();
    };
    const advance = () => {
      if (step >= v.steps) return stop();
      Engine.x.play_step(+v.rate);
      step++;
      history.push([0, 1, 2].map(i => lane(i).loss));
      show();
    };
    const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
    const start = () => {
      if (timer) return stop();
      if (step >= v.steps) open();
      if (broken) return;
      play.textContent = "Pause";
      timer = setInterval(() => (main.contains(table) ? advance() : stop()), 60);
    };
    const play = button("Play", start);
    const finish = () => { stop(); if (broken) return; while (step < v.steps) { Engine.x.play_step(+v.rate); step++; history.push([0, 1, 2].map(i => lane(i).loss)); } show(); };
    const open = () => {
      stop();
      broken = Engine.open({ ...v, t: 0, support: "spread" });
      if (!broken && Engine.train(v.attack, v.seed) < 0) broken = "This attack needs other numbers of workers and liars.";
      result.replaceChildren(...(broken ? [el("p", { class: "outcome refused", role: "status" }, broken)] : []));
      table.hidden = picture.hidden = curves.hidden = !!broken;
      step = 0;
      history = [];
      State.write();
      if (broken) return;
      points = cloud();
      history.push([0, 1, 2].map(i => lane(i).loss));
      show();
    };
    main.append(
      el("p", { class: "try" }, "Try: press Play under “reverse”, then under “min-max”, “alie” and “ipm”. The mean follows the liars, the median leans towards them, DRACO trains the model that honest workers would have made, bit for bit."),
      el("div", { class: "controls" },
        numberControl("n workers", "n", 3, 45, open), numberControl("s lie", "s", 0, 10, open),
        choiceControl("Attack", "attack", ["none", "reverse", "constant", "gaussian", "alie", "ipm", "min-max", "min-sum", "mimic"].map(a => [a, a]), open),
        choiceControl("DRACO's code", "code", [["prime", "cyclic, prime field"], ["repetition", "repetition"], ["complex", "cyclic, complex field"]], open),
        numberControl("Steps", "steps", 10, 200, open), choiceControl("Learning rate", "rate", ["0.3", "1", "3", "10"].map(a => [a, a]), open),
        el("div", { class: "buttons" }, play, button("One step", () => { if (!broken) advance(); }), button("To the end", finish), button("Start again", open),
          button("Other data", () => { v.seed = v.seed % 9999 + 1; open(); }))),
      result, el("div", { class: "pair" }, picture, curves), el("div", { class: "scroll" }, table));
    open();
  },
};
