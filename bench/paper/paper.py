#!/usr/bin/env python3
"""The paper's comparison side by side: codes and robust averages, same data, same liars.

usage: paper.py [--full] [--build DIR] [--out DIR] [--results FILE] [--only PART]...

Drives build/draco-train (every run leaves its metrics as JSON lines in OUT/runs, and a run whose metrics are
there is not repeated), then writes OUT/paper.csv, OUT/attacks.csv, plots and the report FILE (docs/results.md).
PART: training, attacks, server, or report: only what is there already. The quick setting takes some twelve minutes
on two idle cores, --full an hour and a quarter. Data: the MNIST, CIFAR-10 and movie review files in $DRACO_DATA; for
what is not there another data set is taken (Fashion-MNIST, or generated data), and said so.
"""
import argparse
import array
import concurrent.futures
import csv
import datetime
import json
import math
import os
import shutil
import statistics
import subprocess
import sys

WORKERS = 45
TARGETS = (80, 85, 88, 90)
LINKS = (1, 10)  # Gbit/s

# name, options for s liars
METHODS = {
    "mean": lambda s: ["--rule=mean"],
    "geometric median": lambda s: ["--rule=geometric-median"],
    "geometric median, classical": lambda s: ["--rule=geometric-median", "--rule-streaming"],
    "geometric median, classical, loose": lambda s: ["--rule=geometric-median", "--rule-streaming",
                                                     "--rule-tolerance=0.01"],
    "median": lambda s: ["--rule=median"],
    "Krum": lambda s: ["--rule=krum"],
    "Multi-Krum": lambda s: ["--rule=multi-krum"],
    "Bulyan": lambda s: ["--rule=bulyan"],
    "DETOX (r = 3, geometric median)": lambda s: ["--rule=detox", "--adversaries=1", f"--rule-f={s}"],
    "DRACO repetition": lambda s: ["--code=repetition", f"--adversaries={s}"],
    "DRACO repetition, digest first": lambda s: ["--code=repetition", f"--adversaries={s}", "--digest-first"],
    "DRACO cyclic, complex": lambda s: ["--code=cyclic", "--field=complex", f"--adversaries={s}"],
    "DRACO cyclic, prime": lambda s: ["--code=cyclic", "--field=prime", f"--adversaries={s}"],
}
FAST, CLASSICAL, LOOSE = "geometric median", "geometric median, classical", "geometric median, classical, loose"
REPETITION, DIGEST = "DRACO repetition", "DRACO repetition, digest first"
COMPLEX, PRIME = "DRACO cyclic, complex", "DRACO cyclic, prime"
KEY = [FAST, CLASSICAL, REPETITION, DIGEST, COMPLEX]
DEEP = [FAST, CLASSICAL, "Multi-Krum", REPETITION, DIGEST, COMPLEX]
ALL = list(METHODS)
PLOTTED = [FAST, CLASSICAL, "median", "Multi-Krum", DIGEST, COMPLEX]
ATTACKS = {"reverse": "reverse gradient (-100 x)", "constant": "constant (-100)"}

# What is trained: model, data, batch, options of the optimizer, images of the test set that are looked at (None: all).
FC = dict(model="fc", data="mnist", batch=720, train=["--lr=0.04"], test=None)
LENET = dict(model="lenet", data="mnist", batch=720, train=["--optimizer=adam", "--lr=0.002"], test=2000)
TEXT = dict(model="textcnn", data="mr", batch=180, train=["--optimizer=adam", "--lr=0.002"], test=None)
RESNET = dict(model="resnet18", data="cifar10", batch=90, train=["--lr=0.05"], test=1000)

# Every training part: what, steps, steps between tests, and what is compared.
QUICK = [
    dict(FC, steps=36, every=2, s=[5], attacks=list(ATTACKS), methods=KEY),
    dict(FC, steps=36, every=2, s=[1, 3], attacks=["reverse"], methods=KEY[:-1]),
    dict(LENET, steps=36, every=2, s=[5], attacks=["reverse"], methods=[FAST, CLASSICAL, REPETITION]),
    dict(TEXT, steps=20, every=5, s=[5], attacks=["reverse"], methods=[FAST, REPETITION]),
    dict(RESNET, steps=4, every=2, s=[5], attacks=["reverse"], methods=[FAST, REPETITION]),
]
FULL = [
    dict(FC, steps=40, every=2, s=[1, 3, 5], attacks=list(ATTACKS), methods=ALL),
    dict(LENET, steps=36, every=2, s=[1, 3, 5], attacks=list(ATTACKS),
         methods=[m for m in ALL if m not in ("mean", LOOSE)]),
    dict(TEXT, steps=60, every=5, s=[5], attacks=["reverse"], methods=DEEP),
    dict(RESNET, steps=12, every=4, s=[5], attacks=["reverse"], methods=[FAST, CLASSICAL, REPETITION, DIGEST, COMPLEX]),
]

# Does it all run? Two steps of each kind on generated data.
TINY = dict(model="softmax", data="digits", batch=90, train=["--lr=0.05"], test=200)
SMOKE = [dict(TINY, steps=2, every=1, s=[1], attacks=["reverse"], methods=ALL)]

# The table of every rule against every attack: n = 15, f = 3.
TABLE = dict(model="fc", data="mnist", workers=15, f=3, batch=60, lr=0.02, seed=1)
QUICK_ATTACKS = "none reverse constant alie ipm".split()

# parts: what is trained; table: the runs of the table, its attacks (None: all) and steps; bench: options of bench_rules.
SETTINGS = {
    "quick": dict(parts=QUICK, table=TABLE, attacks=QUICK_ATTACKS, steps=30, bench=[]),
    "full": dict(parts=FULL, table=TABLE, attacks=None, steps=30, bench=["--large"]),
    "smoke": dict(parts=SMOKE, table=dict(TABLE, model="softmax", data="digits"), attacks=["none", "reverse"], steps=2,
                  bench=["--quick"]),
}

# What is trained on where a data set is not installed.
STANDS_IN = {"mnist": "fashion-mnist", "fashion-mnist": "digits", "cifar10": "pictures", "mr": "sentences"}

# Chen, Wang, Charles, Papailiopoulos, "DRACO", ICML 2018 (arXiv 1803.09877), table 2: repetition / cyclic code over
# the geometric median, n = 45, FC on MNIST, to 80, 85, 88 and 90% accuracy.
PAPER_SPEEDUPS = {
    ("constant", 1): ("3.4 / 2.7", "3.5 / 2.8", "4.8 / 3.9", "4.1 / 3.1"),
    ("constant", 3): ("2.7 / 2.0", "4.1 / 3.1", "6.0 / 4.6", "5.6 / 4.1"),
    ("constant", 5): ("2.9 / 2.2", "4.8 / 3.7", "6.1 / 4.7", "5.3 / 3.8"),
    ("reverse", 1): ("2.2 / 1.9", "2.4 / 2.2", "4.1 / 3.7", "3.2 / 2.9"),
    ("reverse", 3): ("3.1 / 2.5", "3.3 / 3.1", "5.5 / 4.8", "4.5 / 3.7"),
    ("reverse", 5): ("2.7 / 2.3", "3.0 / 2.6", "3.1 / 2.7", "3.1 / 2.6"),
}
# The short version (SysML 2018), table 1: seconds to 88% under reverse gradients: DRACO, geometric median, speed-up.
PAPER_SECONDS = {1: (84.15, 401.49, 4.77), 3: (84.15, 419.65, 4.99), 5: (84.15, 506.53, 6.02)}

DIFFERS = """
Where ours differ from the paper's, and why:

- **The geometric median need not be slow.** The paper's took most of a round. Our default computes the distances
  between the messages once and iterates on that small matrix ("geometric median"); the iteration over the messages
  that the literature describes stands beside it ("classical", the same stopping rule: a step below 1e-5 of the spread;
  "loose": 1e-2). Both are compiled, use both cores and take a fraction of a second, so the speed-up is smaller than
  the paper's, most of all over the first. The number of iterations stands with the seconds at the server, below.
- **The link decides.** Every worker gets one vector a step and sends one, whatever the rule, and through one link these
  90 vectors take longer than everything else: 3 s at 1 Gbit/s and 0.3 s at 10 Gbit/s for FC. So all methods are alike
  at 1 Gbit/s, but for a repetition code that fetches digests first and one body a group; what the server itself computes
  stands in a table of its own.
- **Redundant computation is not free.** With s = 5 a worker computes 11 times its share. Where computing
  dominates, a robust average with no redundancy takes less time per step; what DRACO gives for it is the model of
  the run without liars (bit for bit with repetition and the prime field), and the names of the liars.
- **Time on a cluster is a model here**: one machine cannot run 45 workers at once. Its measured parts stand in
  columns of their own.
- Only as many steps as the setting allows are trained; a dash says that an accuracy was not reached in them. ResNet-18's
  few are there for their times, not for the accuracy. Its batch normalisation sees the samples of one part (23 of a
  repetition group, 2 of the cyclic code), so codes of different parts train different models; with liars and without
  the model of one code is the same.
"""


def say(text):
    print(text, flush=True)


class Trainer:
    def __init__(self, build, out, may_run):
        self.may_run = may_run
        self.there = {}  # data set -> itself, or what stands in for it
        self.program = os.path.join(build, "draco-train")
        self.out = out
        self.runs = os.path.join(out, "runs")
        os.makedirs(self.runs, exist_ok=True)

    def run(self, name, options, alone=True, share=True):
        """The events of a run, trained now unless its metrics are there; None when it could not start.
        alone: with the machine to itself. share: each part is computed once for all its holders."""
        path = os.path.join(self.runs, name + ".jsonl")
        events = read_events(path)
        if events and events[0].get("options") == options:
            return events[1:]
        if not self.may_run:
            return None
        command = [self.program, *options, "--progress=none", "--no-probe", f"--metrics={path}.part"]
        command += ["--share-parts"] if share else []
        # Where only the accuracy counts, runs of one thread each share the machine.
        environment = os.environ if alone else dict(os.environ, OMP_NUM_THREADS="1")
        done = subprocess.run(command + ([] if alone else ["--threads=1"]), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
        if done.returncode not in (0, 1):  # 1: the training blew up, which is a result
            say(f"  {name}: left out: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'no reason'}")
            return None
        events = read_events(path + ".part")
        with open(path, "w") as f:
            for event in [{"options": options}] + events:
                f.write(json.dumps(event) + "\n")
        os.remove(path + ".part")
        return events


    def data_for(self, run):
        """run with a data set that is there: what it asks for, or what stands in."""
        wanted = run["data"]
        while self.there.get(run["data"]) is None:
            data = run["data"]
            done = subprocess.run([self.program, f"--model={run['model']}", f"--data={data}", "--steps=1", "--batch=15",
                                   "--test-samples=1", "--no-probe"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            self.there[data] = data if done.returncode == 0 or data not in STANDS_IN else STANDS_IN[data]
            if self.there[data] != data:
                say(f"  {done.stderr.strip()}")
                run = dict(run, data=STANDS_IN[data])
        while self.there[run["data"]] != run["data"]:
            run = dict(run, data=self.there[run["data"]])
        if run["data"] != wanted:
            say(f"  {run['model']}: {run['data']} takes the place of {wanted}")
        return run


def read_events(path):
    try:
        with open(path) as f:
            return [json.loads(line) for line in f if line.strip()]
    except (OSError, ValueError):
        return []


def slug(*parts):
    return "-".join("".join(c if c.isalnum() else "_" for c in str(p)) for p in parts)


def median_of(events, key):
    values = [e[key] for e in events if e["event"] == "step" and e.get(key) is not None]
    return statistics.median(values) if values else None


def tests_of(events):
    """[(steps done, accuracy)], and what the run ended with."""
    tests = [(e["step"], e["accuracy"] or 0) for e in events if e["event"] == "test"]
    end = next((e for e in events if e["event"] == "end"), {})
    if end.get("accuracy") is not None and end.get("updates"):
        tests.append((end["updates"], end["accuracy"]))
    return tests


# ---- One worker's computation ----

def worker_seconds(trainer, part, method, s):
    """Measured: what one worker computes in a step, alone on one thread. A holder of one part: the gradient of
    its samples. A cyclic worker: r gradients and their encoding, as a worker of the smallest code of the same r
    does, in which everybody holds every part."""
    steps = 3 if part["model"] == "resnet18" else 9
    base = [f"--model={part['model']}", f"--data={part['data']}", f"--steps={steps}", "--threads=1", "--eval-every=0",
            "--test-samples=10", "--liars=0"]
    if method.startswith("DRACO cyclic"):
        workers, r = 2 * s + 1, 2 * s + 1
        field = "prime" if method.endswith("prime") else "complex"
        samples = -(-part["batch"] // WORKERS)
        name = slug("worker", part["model"], samples, field, r)
        options = ["--code=cyclic", f"--field={field}", f"--adversaries={s}", f"--batch={samples * r}"]
    else:
        workers = 1
        groups = WORKERS // (2 * s + 1) if method.startswith("DRACO") else WORKERS // 3 if "DETOX" in method else WORKERS
        samples = -(-part["batch"] // groups)
        name = slug("worker", part["model"], samples)
        options = ["--rule=mean", "--adversaries=0", f"--batch={samples}"]
        if method == DIGEST:  # the digest is the worker's work, too
            name, options[0] = slug(name, "digest"), "--code=repetition"
            options.append("--digest-first")
    events = trainer.run(name, base + options + [f"--workers={workers}"], share=False)
    took = [e["round_seconds"] - e["server_seconds"] for e in events or [] if e["event"] == "step"]
    return statistics.median(took) / workers if took else None


# ---- Training ----

def compare(trainer, parts):
    rows = []
    for part in parts:
        for s in part["s"]:
            for attack in part["attacks"]:
                for method in part["methods"]:
                    row = one_run(trainer, part, s, attack, method)
                    if row:
                        rows.append(row)
                        say(f"  {row['model']:9} s={s} {attack:9} {method:32} {100 * row['accuracy']:6.2f}%  "
                            f"{1e3 * (row['server_seconds'] or 0):8.1f} ms server")
    return rows


def one_run(trainer, part, s, attack, method):
    options = [f"--model={part['model']}", f"--data={part['data']}", f"--workers={WORKERS}", f"--adversaries={s}",
               *METHODS[method](s), f"--liars={s}", f"--attack={attack}", f"--batch={part['batch']}", *part["train"],
               f"--steps={part['steps']}", f"--eval-every={part['every']}", "--seed=1"]
    if part["test"]:
        options.append(f"--test-samples={part['test']}")
    events = trainer.run(slug(part["model"], s, attack, method), options)
    if not events:
        return None
    tests = tests_of(events)
    server = median_of(events, "server_seconds")
    dim = next((e["dim"] for e in events if e["event"] == "start"), 0)
    row = dict(model=part["model"], data=part["data"], n=WORKERS, s=s, attack=attack, method=method,
               batch=part["batch"], steps=part["steps"], accuracy=tests[-1][1] if tests else 0.0, tests=tests,
               server_seconds=server, worker_seconds=worker_seconds(trainer, part, method, s),
               bytes_in=median_of(events, "bytes_in") or 0, bytes_out=4 * dim * WORKERS, test=part["test"],
               train=" ".join(part["train"]))
    for target in TARGETS:
        row[f"steps_{target}"] = next((k for k, a in tests if 100 * a >= target), None)
    for link in LINKS:
        row[f"round_{link}"] = modelled_round(row, link)
    return row


def modelled_round(row, gbits):
    """Slowest worker's computation, then parameters out and messages in over the server's one link, then the
    server's own work: a model, of measured parts."""
    if row["worker_seconds"] is None or row["server_seconds"] is None:
        return None
    link = (row["bytes_in"] + row["bytes_out"]) * 8 / (gbits * 1e9)
    return row["worker_seconds"] + link + row["server_seconds"]


# ---- Every rule against every attack ----

def params_of(trainer, attack):
    return os.path.join(trainer.runs, slug("params", attack) + ".f32")


def distance_from_clean(trainer, attacks):
    """Largest relative distance of a complex-field model from the one without liars; None: not there."""
    def read(attack):
        floats = array.array("f")
        with open(params_of(trainer, attack), "rb") as f:
            floats.frombytes(f.read())
        return floats
    try:
        clean = read("none")
        norm = math.sqrt(math.fsum(x * x for x in clean))
        return max(math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(read(a), clean))) / norm for a in attacks)
    except (OSError, ValueError):
        return None


def list_of(build, what):
    text = subprocess.run([os.path.join(build, "draco-train"), f"--{what}=list"], capture_output=True, text=True).stdout
    return [line.split()[0] for line in text.splitlines() if line and not line[0].isspace()]


def attack_table(trainer, build, run, steps, only):
    f, rule_f = run["f"], f"--rule-f={run['f']}"
    rules = [r for r in list_of(build, "rule") if "+" not in r and r not in ("detox", "nnm", "bucketing")]
    methods = [(r, [f"--rule={r}", rule_f]) for r in rules]
    methods += [(r, [f"--rule={r}", rule_f]) for r in ("nnm+trimmed-mean", "nnm+krum", "bucketing+median")]
    methods += [("detox", ["--rule=detox", "--adversaries=1", rule_f]),
                (REPETITION, ["--code=repetition", f"--adversaries={f}"]),
                (COMPLEX, ["--code=cyclic", f"--adversaries={f}"]),
                (PRIME, ["--code=cyclic", "--field=prime", f"--adversaries={f}"])]
    attacks = [a for a in list_of(build, "attack") if not a.startswith("digest-") and (not only or a in only)]
    table = {}
    base = [f"--model={run['model']}", f"--data={run['data']}", f"--workers={run['workers']}", f"--batch={run['batch']}",
            f"--lr={run['lr']}", f"--seed={run['seed']}", f"--steps={steps}", "--eval-every=0"]

    def cell(name, options, attack):
        liars = [f"--attack={attack}", f"--liars={0 if attack == 'none' else f}"]
        kept = [f"--params={params_of(trainer, attack)}"] if name == COMPLEX else []
        events = trainer.run(slug("table", name, attack), base + options + liars + kept, alone=False)
        end = next((e for e in events or [] if e["event"] == "end"), {})
        return (end.get("accuracy"), end.get("model_digest"), end.get("status")) if events else None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        cells = {(name, a): pool.submit(cell, name, options, a) for name, options in methods for a in attacks}
        for name, _ in methods:
            for a in attacks:
                table[name, a] = cells[name, a].result()
            say(f"  {name}: " + " ".join(shown(table[name, a]) for a in attacks))
    return [m for m, _ in methods], attacks, table


def shown(cell):
    if not cell:
        return "–"
    accuracy, _, status = cell
    return f"{100 * accuracy:.1f}" if accuracy is not None and status == "good" else "fails"


# ---- The report ----

def number(value, scale=1.0, digits=1):
    return "–" if value is None else f"{value * scale:.{digits}f}"


def machine():
    model = "unknown processor"
    try:
        with open("/proc/cpuinfo") as f:
            model = next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {os.cpu_count()} cores"


def seconds_to(row, target, link):
    """Modelled: seconds on a cluster to an accuracy, or None."""
    if not row or not row[f"steps_{target}"] or not row[f"round_{link}"]:
        return None
    return row[f"steps_{target}"] * row[f"round_{link}"]


def speedup(base, row, target, link):
    slow, fast = seconds_to(base, target, link), seconds_to(row, target, link)
    return "–" if slow is None or fast is None else f"{slow / fast:.1f}"


def find(rows, **wanted):
    return next((r for r in rows if all(r[k] == v for k, v in wanted.items())), None)


def seconds_table(rows):
    """The short paper's table 1: reverse gradients, time to 88%."""
    lines = ["", "### Seconds to 88% under reverse gradients, FC on MNIST, n = 45", "",
             "Ours: modelled at 10 Gbit/s. The paper's: 46 machines. Other batch, rate and hardware: compare the ratios.", "",
             "| liars | DRACO repetition, digest first | geometric median, classical | speed-up | geometric median | speed-up "
             "| paper: DRACO | paper: geometric median | paper: speed-up |", "|---" * 9 + "|"]
    for s, paper in PAPER_SECONDS.items():
        draco, classical, fast = (find(rows, model="fc", attack="reverse", s=s, method=m)
                                  for m in (DIGEST, CLASSICAL, FAST))
        if draco:
            lines.append(f"| {s} of {WORKERS} | {number(seconds_to(draco, 88, 10), 1, 2)} | "
                         f"{number(seconds_to(classical, 88, 10), 1, 2)} | {speedup(classical, draco, 88, 10)} | "
                         f"{number(seconds_to(fast, 88, 10), 1, 2)} | {speedup(fast, draco, 88, 10)} | "
                         + " | ".join(str(x) for x in paper) + " |")
    return lines


def speedup_tables(rows):
    """The paper's table 2: how many times faster to an accuracy than the geometric median."""
    lines = []
    for model, data in dict.fromkeys((r["model"], r["data"]) for r in rows):
        group = [r for r in rows if r["model"] == model]
        if not any(r[f"steps_{TARGETS[0]}"] for r in group):
            continue
        lines += ["", f"### Speed-up over the geometric median in the time to an accuracy: {model} on {data}, n = {WORKERS}", "",
                  "A cell: DRACO repetition / repetition with digests first / cyclic, complex (modelled rounds). The paper's "
                  "cells: repetition / cyclic.", "",
                  "| attack, liars | over | " + " | ".join(f"to {t}%" for t in TARGETS) + " |",
                  "|---" * (2 + len(TARGETS)) + "|"]
        for attack, s in dict.fromkeys((r["attack"], r["s"]) for r in group):
            codes = [find(group, attack=attack, s=s, method=m) for m in (REPETITION, DIGEST, COMPLEX)]
            name = f"{attack}, {s} of {WORKERS}"
            for base, link in ((CLASSICAL, 10), (FAST, 10), (CLASSICAL, 1), (FAST, 1)):
                row = find(group, attack=attack, s=s, method=base)
                cells = [" / ".join(speedup(row, c, t, link) for c in codes) for t in TARGETS]
                lines.append(f"| {name} | {base}, {link} Gbit/s | " + " | ".join(cells) + " |")
            if model == "fc" and (attack, s) in PAPER_SPEEDUPS:
                lines.append(f"| {name} | *the paper's* | " + " | ".join(PAPER_SPEEDUPS[attack, s]) + " |")
    return lines


def server_table(rows):
    """What the server computes in a step, and how many times longer the geometric median takes."""
    lines = ["", "### The server's own work in a step, n = 45", "",
             "Measured milliseconds; in brackets, how many times longer the geometric median takes (classical; ours).", "",
             f"| model, attack, liars | {CLASSICAL} | {FAST} | repetition | repetition, digest first | cyclic, complex | cyclic, prime |",
             "|---" * 7 + "|"]
    for model, attack, s in dict.fromkeys((r["model"], r["attack"], r["s"]) for r in rows):
        group = {r["method"]: r["server_seconds"] for r in rows if (r["model"], r["attack"], r["s"]) == (model, attack, s)}
        slow = [group.get(m) for m in (CLASSICAL, FAST)]
        cells = [number(x, 1e3) for x in slow]
        for m in (REPETITION, DIGEST, COMPLEX, PRIME):
            own = group.get(m)
            cells.append("–" if not own else f"{1e3 * own:.1f} ({'; '.join(number(x and x / own) for x in slow)})")
        lines.append(f"| {model}, {attack}, {s} of {WORKERS} | " + " | ".join(cells) + " |")
    return lines


def training_tables(rows):
    lines = []
    for key in dict.fromkeys((r["model"], r["data"], r["s"], r["attack"]) for r in rows):
        group = [r for r in rows if (r["model"], r["data"], r["s"], r["attack"]) == key]
        first = group[0]
        images = f", accuracy on the first {first['test']} of the test set" if first["test"] else ""
        reached = any(r[f"steps_{TARGETS[0]}"] for r in group)
        title = ["method", "accuracy"] + (["steps to " + " / ".join(str(t) for t in TARGETS) + "%"] if reached else [])
        title += ["worker ms", "server ms", "MB in"] + [f"model: round s at {l} Gbit/s" for l in LINKS]
        title += ["model: seconds to " + " / ".join(str(t) for t in TARGETS) + "% at 10 Gbit/s"] if reached else []
        lines += ["", f"### {key[0]} on {key[1]}, s = {key[2]}, {ATTACKS[key[3]]}", "",
                  f"n = {WORKERS}, batch {first['batch']}, {first['train'].replace('--', '')}, {first['steps']} steps{images}.", "",
                  "| " + " | ".join(title) + " |", "|---" * len(title) + "|"]
        for r in group:
            cells = [r["method"], f"{100 * r['accuracy']:.2f}%"]
            cells += [" / ".join(number(r[f"steps_{t}"], 1, 0) for t in TARGETS)] if reached else []
            cells += [number(r["worker_seconds"], 1e3), number(r["server_seconds"], 1e3), number(r["bytes_in"], 1e-6, 0)]
            cells += [number(r[f"round_{l}"], 1, 2) for l in LINKS]
            cells += [" / ".join(number(seconds_to(r, t, 10), 1, 1) for t in TARGETS)] if reached else []
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def attack_lines(trainer, run, methods, attacks, table, steps):
    lines = ["", "## Every rule against every attack", "",
             f"Final test accuracy in percent: {run['model']} on {run['data']}, n = {run['workers']}, f = {run['f']} liars drawn anew in each "
             f"step, batch {run['batch']}, {steps} steps, seed {run['seed']}. \"fails\": the run ended in an error, or "
             "the parameters were no longer finite (messages that are not numbers or not there do not count, and Bulyan and buckets "
             "of two cannot do with the rest). A dash: not run.", "",
             "| | " + " | ".join(attacks) + " |", "|---" * (len(attacks) + 1) + "|"]
    for m in methods:
        if any(table.get((m, a)) for a in attacks):
            lines.append(f"| {m} | " + " | ".join(shown(table.get((m, a))) for a in attacks) + " |")
    left = [m for m in methods if not any(table.get((m, a)) for a in attacks)]
    lines += ["", f"Not run yet: {', '.join(left)}.", ""] if left else [""]
    for m in (REPETITION, PRIME):
        digests = [table[m, a][1] for a in attacks if table.get((m, a))]
        if digests and None not in digests:
            same = "the same bytes" if len(set(digests)) == 1 else f"{len(set(digests))} DIFFERENT models"
            lines += [f"{m}: the model without liars and under the {len(digests) - 1} attacks: {same}.", ""]
    apart = distance_from_clean(trainer, attacks)
    if apart is not None:
        lines += [f"{COMPLEX}: the models under attack are within {apart:.1e} (relative, Euclidean) of the model without "
                  "liars.", ""]
    return lines


def plots(build, out, rows, trainer):
    """Accuracy against steps and modelled time, one picture a group, by the trainer's own plotter."""
    plotter = os.path.join(build, "draco_plot")
    pictures = []
    if not os.path.exists(plotter):
        return pictures
    for key in dict.fromkeys((r["model"], r["s"], r["attack"]) for r in rows):
        group = [r for r in rows if (r["model"], r["s"], r["attack"]) == key and r["method"] in PLOTTED]
        files = []
        for r in group:
            source = os.path.join(trainer.runs, slug(r["model"], r["s"], r["attack"], r["method"]) + ".jsonl")
            copy = os.path.join(out, "plot-" + os.path.basename(source))
            with open(copy, "w") as f:
                for event in read_events(source)[1:]:  # without the line of options
                    if event["event"] == "start":
                        event["label"] = r["method"]
                    elif r["round_10"]:
                        event["train_seconds"] = event.get("step", 0) * r["round_10"]
                    f.write(json.dumps(event, separators=(",", ":")) + "\n")
            files.append(copy)
        picture = os.path.join(out, slug("accuracy", *key) + ".svg")
        title = f"{key[0]}, {key[1]} of {WORKERS} lie ({key[2]}); time modelled at 10 Gbit/s"
        if subprocess.run([plotter, picture, title, *files], capture_output=True).returncode == 0:
            pictures.append((picture, title))
        for file in files:
            os.remove(file)
    return pictures


def write_csv(path, rows):
    fields = [k for k in rows[0] if k != "tests"]
    with open(path, "w", newline="") as f:
        writer = csv.DictWriter(f, fields + ["accuracy_after_steps"], extrasaction="ignore")
        writer.writeheader()
        for r in rows:
            writer.writerow(dict(r, accuracy_after_steps=" ".join(f"{k}:{a:.4f}" for k, a in r["tests"])))


def write_report(trainer, path, rows, table, server, pictures, setting, steps):
    lines = ["# Results", "", f"{datetime.date.today()}, {machine()}, {setting} setting. Repeat with `make paper` "
             "(quick: some twelve minutes) or `make paper PAPER=--full` (an hour and a quarter), with `DRACO_DATA` naming the folder of the "
             "data sets; bench/paper/paper.py writes this page. The tables as CSV: [paper.csv](results/paper.csv), with the accuracy "
             "after each k steps, and [attacks.csv](results/attacks.csv).", "",
             "The experiment is that of Chen, Wang, Charles, Papailiopoulos, \"DRACO\", ICML 2018 (arXiv 1803.09877), and of its "
             "short version at SysML 2018: 45 workers, some of which send a wrong vector in every step."]
    if rows:
        lines += ["", "## Against the geometric median"] + seconds_table(rows) + server_table(rows) + speedup_tables(rows) + [DIFFERS.rstrip()]
        lines += ["", "## Training with liars", "",
                  "Measured: the accuracy on the test set and the steps to an accuracy (tested every few steps); worker ms, what "
                  "one worker computes in a step (its r gradients and their encoding) alone on one thread; server ms, the median "
                  "of the server's own time on this machine's cores; MB in, what the server takes in. Modelled, and only that: a "
                  "round on a cluster = worker + (parameters to all + messages in) over the server's one link + server. A "
                  "digest-first round takes one body a group and 32 bytes of everybody."] + training_tables(rows)
    folder = os.path.join(os.path.dirname(path), "results")
    os.makedirs(folder, exist_ok=True)
    for name in ("paper.csv", "attacks.csv"):
        if os.path.exists(os.path.join(trainer.out, name)):
            shutil.copy(os.path.join(trainer.out, name), folder)
    if pictures:
        lines += ["", "## Accuracy"]
        for picture, title in pictures:
            shutil.copy(picture, folder)
            lines += ["", f"![{title}](results/{os.path.basename(picture)})"]
    if table:
        lines += attack_lines(trainer, *table, steps)
    if server:
        lines += ["", "## Seconds at the server", "", "Every rule as a multiple of reading the messages once "
                  "(bench/bench_rules). The geometric median stands there four times: on the matrix of distances and "
                  "classical, with a tight and a loose stopping rule, and with its iterations.", "", "```", server.rstrip(),
                  "```"]
    with open(path, "w") as f:
        f.write("\n".join(lines).rstrip() + "\n")
    say(f"report: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", dest="setting", action="store_const", const="full", default="quick")
    parser.add_argument("--smoke", dest="setting", action="store_const", const="smoke", help="does it all run?")
    parser.add_argument("--build", default="build")
    parser.add_argument("--out", default=None, help="default: BUILD/paper, or BUILD/paper-full")
    parser.add_argument("--results", default="docs/results.md")
    parser.add_argument("--only", action="append", choices=["training", "attacks", "server", "report"])
    o = parser.parse_args()
    wanted = o.only or ["training", "attacks", "server"]
    setting = SETTINGS[o.setting]
    out = o.out or os.path.join(o.build, "paper" if o.setting == "quick" else "paper-" + o.setting)
    os.makedirs(out, exist_ok=True)
    trainer = Trainer(o.build, out, wanted != ["report"])
    rows, table, server, pictures = [], None, "", []
    server_path = os.path.join(out, "server.txt")
    if "training" in wanted or "report" in wanted:
        say("training with liars")
        rows = compare(trainer, [trainer.data_for(part) for part in setting["parts"]])
        if rows:
            write_csv(os.path.join(out, "paper.csv"), rows)
            pictures = plots(o.build, out, rows, trainer)
    if "attacks" in wanted or "report" in wanted:
        say("every rule against every attack")
        run = trainer.data_for(setting["table"])
        table = (run, *attack_table(trainer, o.build, run, setting["steps"], setting["attacks"]))
        with open(os.path.join(out, "attacks.csv"), "w", newline="") as f:
            writer = csv.writer(f)
            writer.writerow(["method"] + table[2])
            for m in table[1]:
                writer.writerow([m] + [shown(table[3].get((m, a))) for a in table[2]])
    if "server" in wanted:
        say("seconds at the server")
        command = [os.path.join(o.build, "bench", "bench_rules"), *setting["bench"]]
        with open(server_path, "w") as f:
            f.write(subprocess.run(command, capture_output=True, text=True).stdout)
    if os.path.exists(server_path):
        with open(server_path) as f:
            server = f.read()
    write_report(trainer, o.results, rows, table, server, pictures, o.setting, setting["steps"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
