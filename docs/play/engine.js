// The headers, compiled to WebAssembly. PLAY_MODULE (base64) is put in front of this file by pack.py; served as separate
// files, the module is fetched.
"use strict";

const Kinds = ["honest", "reverse", "constant", "one coordinate", "random", "colludes", "missing", "NaN"];
const Verdicts = ["undecided", "agrees", "blamed", "absent", "malformed", "suspected"];
const Symbols = ["?", "✓", "✗", "–", "!"];

const Engine = {
  async boot() {
    const bytes = typeof PLAY_MODULE === "string"
      ? Uint8Array.from(atob(PLAY_MODULE), c => c.charCodeAt(0))
      : await (await fetch("play.wasm")).arrayBuffer();
    // The module asks for no file and no clock: whatever libc imports for them answers "bad descriptor".
    const wasi = new Proxy({}, { get: () => () => 8, has: () => true });
    const { instance } = await WebAssembly.instantiate(bytes, { wasi_snapshot_preview1: wasi });
    this.x = instance.exports;
    this.x._initialize();
  },
  doubles(at, n) { return Array.from(new Float64Array(this.x.memory.buffer, at, n)); },
  floats(at, n) { return Array.from(new Float32Array(this.x.memory.buffer, at, n)); },
  bytes(at, n) { return Array.from(new Uint8Array(this.x.memory.buffer, at, n)); },
  text(at) {
    const all = new Uint8Array(this.x.memory.buffer);
    return new TextDecoder().decode(all.slice(at, all.indexOf(0, at)));
  },

  // {n, s, t, code: "repetition" | "complex" | "prime", support: "spread" | "contiguous"}: null, or why it cannot be.
  open(c) {
    const status = this.x.play_code(c.n, c.s, c.t, c.code === "repetition" ? 0 : 1, c.code === "complex" ? 1 : 0,
      c.support === "contiguous" ? 1 : 0);
    if (status < 0) {
      const r = 2 * c.s + c.t + 1;
      return r > c.n ? `Every part is held by r = 2s + t + 1 = ${r} workers, and there are only ${c.n}.`
        : this.text(this.x.play_status_text(status));
    }
    return null;
  },

  // One round. kinds: a digit per worker. Returns all that can be seen of it, or {why} it cannot be.
  round(c, kinds, seed, d) {
    const why = this.open(c);
    if (why) return { why };
    new Uint8Array(this.x.memory.buffer, this.x.play_kinds(), c.n).set(kinds.slice(0, c.n));
    const status = this.x.play_round(seed, d);
    const report = this.doubles(this.x.play_report(), 6);
    const sum = this.floats(this.x.play_sum(), d), honest = this.floats(this.x.play_honest_sum(), d);
    const size = Math.hypot(...honest) || 1;
    return {
      status, sum, honest, verdicts: this.bytes(this.x.play_verdicts(), c.n),
      text: this.text(this.x.play_describe()),
      same: sum.every((v, i) => Object.is(v, honest[i])),
      off: Math.hypot(...sum.map((v, i) => v - honest[i])) / size,
      exact: this.x.play_error(), // of the sum without liars, against the plain sum in double
      residual: report[0], gain: report[1], error: report[2], spare: report[3], group: report[4],
    };
  },
  fingerprint(w) { return this.bytes(this.x.play_fingerprint(w), 16); },
  message(w) { return this.doubles(this.x.play_message(w), this.x.play_words()); },
  pairs(at, n) { const v = this.doubles(at, 2 * n); return Array.from({ length: n }, (_, i) => [v[2 * i], v[2 * i + 1]]); },
  coefficient(part, w) { return this.doubles(this.x.play_coefficient(part, w), 2); },
  case(k) { return this.text(this.x.play_case(k)); },
  train(attack, seed) {
    const at = this.x.play_input(), name = new TextEncoder().encode(attack.slice(0, 60) + "\0");
    new Uint8Array(this.x.memory.buffer, at, name.length).set(name);
    return this.x.play_train(at, seed);
  },
};
