#!/usr/bin/env python3
"""The paper's comparison side by side: codes and aggregation rules, same data, same liars.

usage: paper.py [--full] [--build DIR] [--out DIR] [--results FILE] [--only PART]...

Drives build/draco-train (every run leaves its metrics as JSON lines in OUT/runs, and a run whose metrics are
there is not repeated) and build/bench/bench_rules, writes what they measured to OUT (paper.csv, attacks.csv,
server.txt, about.json), and lets report.py make pages and pictures of it: FILE (docs/results.md).
PART: training, attacks, server, network (bench/network, which the full setting does as root), or report: measure nothing. The quick setting takes some twelve minutes
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
import statistics
import subprocess
import sys

import report
from report import CHALLENGE, CLASSICAL, COMPLEX, FAST, LINKS, LOOSE, PRIME, REACTIVE, REPETITION, TARGETS

WORKERS = 45

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
    "DRACO repetition, challenge": lambda s: ["--code=repetition", f"--adversaries={s}", "--vote=challenge"],
    # Whoever is evicted is so for good: the liars have to be the same ones in all steps.
    "DRACO reactive, evicting": lambda s: ["--code=repetition", f"--adversaries={s}", "--redundancy=reactive", "--evict-after=1",
                                           "--who=fixed"],
    "DRACO cyclic, complex": lambda s: ["--code=cyclic", "--field=complex", f"--adversaries={s}"],
    "DRACO cyclic, prime": lambda s: ["--code=cyclic", "--field=prime", f"--adversaries={s}"],
}
KEY = [FAST, CLASSICAL, REPETITION, CHALLENGE, REACTIVE, COMPLEX]
DEEP = [FAST, CLASSICAL, "Multi-Krum", REPETITION, CHALLENGE, REACTIVE, COMPLEX]
ALL = list(METHODS)

# What is trained: model, data, batch, options of the optimizer, images of the test set that are looked at (None: all).
FC = dict(model="fc", data="mnist", batch=720, train=["--lr=0.04"], test=None)
LENET = dict(model="lenet", data="mnist", batch=720, train=["--optimizer=adam", "--lr=0.002"], test=2000)
TEXT = dict(model="textcnn", data="mr", batch=180, train=["--optimizer=adam", "--lr=0.002"], test=None)
RESNET = dict(model="resnet18", data="cifar10", batch=90, train=["--lr=0.05"], test=1000)

# Every training part: what, steps, steps between tests, and what is compared.
QUICK = [
    dict(FC, steps=36, every=2, s=[5], attacks=["reverse", "constant"], methods=KEY),
    dict(FC, steps=36, every=2, s=[1, 3], attacks=["reverse"], methods=KEY[:-1]),
    dict(LENET, steps=36, every=2, s=[5], attacks=["reverse"], methods=[FAST, CLASSICAL, REPETITION, REACTIVE]),
    dict(TEXT, steps=20, every=5, s=[5], attacks=["reverse"], methods=[FAST, REPETITION]),
    dict(RESNET, steps=4, every=2, s=[5], attacks=["reverse"], methods=[FAST, REPETITION]),
]
FULL = [
    dict(FC, steps=40, every=2, s=[1, 3, 5], attacks=["reverse", "constant"], methods=ALL),
    dict(LENET, steps=36, every=2, s=[1, 3, 5], attacks=["reverse", "constant"],
         methods=[m for m in ALL if m not in ("mean", LOOSE)]),
    dict(TEXT, steps=60, every=5, s=[5], attacks=["reverse"], methods=DEEP),
    dict(RESNET, steps=12, every=4, s=[5], attacks=["reverse"], methods=[FAST, CLASSICAL, REPETITION, CHALLENGE, COMPLEX]),
]

# Does it all run? Two steps of each kind on generated data.
TINY = dict(model="softmax", data="digits", batch=90, train=["--lr=0.05"], test=200)
SMOKE = [dict(TINY, steps=2, every=1, s=[1], attacks=["reverse"], methods=ALL)]

# The table of every rule against every attack: n = 15, f = 3.
TABLE = dict(model="fc", data="mnist", workers=15, f=3, batch=60, lr=0.02, seed=1)
QUICK_ATTACKS = "none reverse constant alie ipm".split()

# parts: what is trained; table: the runs of the table, its attacks (None: all) and steps; bench: options of bench_rules.
NETWORK = [["--workers=9", "--adversaries=1"], ["--workers=15"],
           ["--workers=45", "--adversaries=5", "--steps=4", "--transports=mpi", "--methods=DRACO"],
           *(["--workers=15", "--transports=mpi", "--broadcasts=relay", "--methods=reactive", f"--relays={bad}"]
             for bad in ("lie", "stall", "stop", "die")),
           ["--workers=15", "--transports=grpc", "--broadcasts=relay", "--methods=reactive", "--relays=die"]]
SETTINGS = {
    "quick": dict(parts=QUICK, table=TABLE, attacks=QUICK_ATTACKS, steps=30, bench=[], network=NETWORK),
    "full": dict(parts=FULL, table=TABLE, attacks=None, steps=30, bench=["--large"], network=NETWORK),
    "smoke": dict(parts=SMOKE, table=dict(TABLE, model="softmax", data="digits"), attacks=["none", "reverse"], steps=2,
                  bench=["--quick"], network=[["--workers=3", "--adversaries=1", "--steps=3", "--methods=mean"]]),
}

# What is trained on where a data set is not installed.
STANDS_IN = {"mnist": "fashion-mnist", "fashion-mnist": "digits", "cifar10": "pictures", "mr": "sentences"}


def say(text):
    print(text, flush=True)


class Trainer:
    def __init__(self, build, out):
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
        command = [self.program, *options, "--progress=none", "--no-probe", f"--metrics={path}.part"]
        command += ["--share-parts"] if share else []
        # Where only the accuracy counts, runs of one thread each share the machine.
        environment = os.environ if alone else dict(os.environ, OMP_NUM_THREADS="1")
        done = subprocess.run(command + ([] if alone else ["--threads=1"]), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
        if done.returncode not in (0, 3, 5):  # undecodable or diverged, which is a result
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

def reactive_seconds(trainer, part, s, events):
    """The mean over the steps: a disputed part is computed a second time, after the first."""
    steps = [e for e in events if e["event"] == "step"]
    took = holder_seconds(trainer, part, CHALLENGE, steps[0]["parts"]) if steps else None
    return took and took * statistics.mean(1 + (e["gradients"] > e["parts"] * (s + 1 - e["evicted"])) for e in steps)


def holder_seconds(trainer, part, method, groups):
    """Of a holder of one of so many parts."""
    samples = -(-part["batch"] // groups)
    name = slug("worker", part["model"], samples)
    options = ["--rule=mean", "--adversaries=0", f"--batch={samples}"]
    if method == CHALLENGE:  # the fingerprint is the worker's work, too
        name, options[0] = slug(name, "challenge"), "--code=repetition"
        options.append("--vote=challenge")
    return alone_seconds(trainer, part, name, options, 1)


def alone_seconds(trainer, part, name, options, workers):
    steps = 3 if part["model"] == "resnet18" else 9
    base = [f"--model={part['model']}", f"--data={part['data']}", f"--steps={steps}", "--threads=1", "--eval-every=0",
            "--test-samples=10"]
    events = trainer.run(name, base + options + [f"--workers={workers}"], share=False)
    took = [e["round_seconds"] - e["server_seconds"] for e in events or [] if e["event"] == "step"]
    return statistics.median(took) / workers if took else None


def worker_seconds(trainer, part, method, s):
    """Measured: what one worker computes in a step, alone on one thread. A holder of one part: the gradient of
    its samples. A cyclic worker: r gradients and their encoding, as a worker of the smallest code of the same r
    does, in which everybody holds every part."""
    if method.startswith("DRACO cyclic"):
        workers, r = 2 * s + 1, 2 * s + 1
        field = "prime" if method.endswith("prime") else "complex"
        samples = -(-part["batch"] // WORKERS)
        name = slug("worker", part["model"], samples, field, r)
        options = ["--code=cyclic", f"--field={field}", f"--adversaries={s}", f"--batch={samples * r}"]
        return alone_seconds(trainer, part, name, options, workers)
    groups = WORKERS // (2 * s + 1) if method.startswith("DRACO") else WORKERS // 3 if "DETOX" in method else WORKERS
    return holder_seconds(trainer, part, method, groups)


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
               server_seconds=server,
               worker_seconds=reactive_seconds(trainer, part, s, events) if method == REACTIVE
               else worker_seconds(trainer, part, method, s),
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
                (COMPLEX, ["--code=cyclic", "--field=complex", f"--adversaries={f}"]),
                (PRIME, ["--code=cyclic", "--field=prime", f"--adversaries={f}"])]
    attacks = [a for a in list_of(build, "attack") if not a.startswith("challenge-") and (not only or a in only)]
    table = {}
    base = [f"--model={run['model']}", f"--data={run['data']}", f"--workers={run['workers']}", f"--batch={run['batch']}",
            f"--lr={run['lr']}", f"--seed={run['seed']}", f"--steps={steps}", "--eval-every=0"]

    def cell(name, options, attack):
        liars = [f"--attack={attack}"] + ([] if attack == "none" else [f"--liars={f}"])
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


# ---- What the report needs ----

def machine():
    model = "unknown processor"
    try:
        with open("/proc/cpuinfo") as f:
            model = next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {os.cpu_count()} cores"


def write_csv(path, rows):
    fields = [k for k in rows[0] if k != "tests"]
    with open(path, "w", newline="") as f:
        writer = csv.DictWriter(f, fields + ["accuracy_after_steps"], extrasaction="ignore")
        writer.writeheader()
        for r in rows:
            writer.writerow(dict(r, accuracy_after_steps=" ".join(f"{k}:{a:.4f}" for k, a in r["tests"])))


def write_attacks(path, methods, attacks, table):
    with open(path, "w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(["method"] + attacks)
        writer.writerows([m] + [shown(table.get((m, a))) for a in attacks] for m in methods)


def models_of(attacks, table):
    """How many different models a code made without liars and under the attacks; a code without digests is left out."""
    made = {m: [table[m, a][1] for a in attacks if table.get((m, a))] for m in (REPETITION, PRIME)}
    return {m: dict(attacks=len(digests) - 1, different=len(set(digests))) for m, digests in made.items()
            if digests and None not in digests}


def read_about(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", dest="setting", action="store_const", const="full", default="quick")
    parser.add_argument("--smoke", dest="setting", action="store_const", const="smoke", help="does it all run?")
    parser.add_argument("--build", default="build")
    parser.add_argument("--out", default=None, help="default: BUILD/paper, or BUILD/paper-full")
    parser.add_argument("--results", default="docs/results.md")
    parser.add_argument("--only", action="append", choices=["training", "attacks", "server", "network", "report"])
    o = parser.parse_args()
    wanted = o.only or ["training", "attacks", "server", *(["network"] if o.setting == "full" and os.geteuid() == 0 else [])]
    setting = SETTINGS[o.setting]
    out = o.out or os.path.join(o.build, "paper" if o.setting == "quick" else "paper-" + o.setting)
    os.makedirs(out, exist_ok=True)
    trainer = Trainer(o.build, out)
    about_path = os.path.join(out, "about.json")
    about = read_about(about_path)
    if "training" in wanted:
        say("training with liars")
        rows = compare(trainer, [trainer.data_for(part) for part in setting["parts"]])
        if rows:
            write_csv(os.path.join(out, "paper.csv"), rows)
    if "attacks" in wanted:
        say("every rule against every attack")
        run = trainer.data_for(setting["table"])
        methods, attacks, table = attack_table(trainer, o.build, run, setting["steps"], setting["attacks"])
        write_attacks(os.path.join(out, "attacks.csv"), methods, attacks, table)
        about.update(table=dict(run, steps=setting["steps"]), models=models_of(attacks, table),
                     apart=distance_from_clean(trainer, attacks))
    if "server" in wanted:
        say("seconds at the server")
        command = [os.path.join(o.build, "bench", "bench_rules"), *setting["bench"]]
        with open(os.path.join(out, "server.txt"), "w") as f:
            f.write(subprocess.run(command, capture_output=True, text=True).stdout)
    if "network" in wanted:
        say("rounds on a network")
        network = [sys.executable, os.path.join(os.path.dirname(__file__), "..", "network", "network.py"), "--build", o.build, "--out",
                   os.path.join(out, "network.csv")]
        for setting_of in setting["network"]:
            if subprocess.run([*network, *setting_of]).returncode:
                say("  some rows could not be measured, or were not of the network")
    if wanted != ["report"]:
        about.update(date=str(datetime.date.today()), machine=machine(), setting=o.setting)
        with open(about_path, "w") as f:
            f.write(json.dumps(about, indent=1) + "\n")
    report.write(out, o.results, os.path.join(o.build, "draco_plot"))
    say(f"report: {o.results}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
