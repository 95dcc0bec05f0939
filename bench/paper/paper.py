#!/usr/bin/env python3
"""The paper's comparison side by side: codes and robust averages, same data, same liars.

usage: paper.py [--full] [--build DIR] [--out DIR] [--results FILE] [--only PART]...

Drives build/draco-train (every run leaves its metrics as JSON lines in OUT/runs, and a run whose metrics are
there is not repeated), then writes OUT/paper.csv, OUT/attacks.csv, plots and the report FILE (docs/results.md).
PART: training, attacks, server, or report: only what is there already. The quick setting takes some ten minutes on two idle cores, --full some
hours. Data: the MNIST, CIFAR-10 and movie review files in $DRACO_DATA; what is not there is left out and said so.
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
KEY = ["geometric median", "DRACO repetition", "DRACO cyclic, complex"]
ATTACKS = {"reverse": "reverse gradient (-100 x)", "constant": "constant (-100)"}

# Every training part: model, data, batch, rate, steps, steps between tests, and what is compared.
QUICK = [
    dict(model="fc", data="mnist", batch=720, lr=0.04, steps=50, every=2, s=[1, 3], attacks=list(ATTACKS), methods=KEY),
    dict(model="fc", data="mnist", batch=720, lr=0.04, steps=50, every=2, s=[5], attacks=list(ATTACKS),
         methods=list(METHODS)[1:]),
    dict(model="lenet", data="mnist", batch=720, lr=0.02, steps=40, every=2, s=[5], attacks=["reverse"],
         methods=list(METHODS)[1:]),
    dict(model="textcnn", data="mr", batch=180, lr=0.05, steps=20, every=5, s=[5], attacks=["reverse"], methods=KEY),
    dict(model="resnet18", data="cifar10", batch=90, lr=0.05, steps=4, every=2, s=[5], attacks=["reverse"],
         methods=KEY),
]
FULL = [
    dict(model="fc", data="mnist", batch=720, lr=0.04, steps=400, every=4, s=[1, 3, 5], attacks=list(ATTACKS),
         methods=list(METHODS)),
    dict(model="lenet", data="mnist", batch=720, lr=0.02, steps=400, every=4, s=[1, 3, 5], attacks=list(ATTACKS),
         methods=list(METHODS)),
    dict(model="textcnn", data="mr", batch=180, lr=0.05, steps=200, every=10, s=[1, 5], attacks=list(ATTACKS),
         methods=list(METHODS)),
    dict(model="resnet18", data="cifar10", batch=180, lr=0.05, steps=100, every=10, s=[1, 5], attacks=["reverse"],
         methods=list(METHODS)),
]

# The table of every rule against every attack: n = 15, f = 3.
QUICK_ATTACKS = ("none reverse constant gaussian nan alie ipm mimic min-max label-flip omission replay patchwork").split()
TABLE = dict(model="fc", data="mnist", workers=15, f=3, batch=60, lr=0.02, seed=1)

PAPER = """
What the paper reports, for comparison (Chen, Wang, Charles, Papailiopoulos, "DRACO", ICML 2018, arXiv 1803.09877;
46 machines, FC on MNIST, n = 45). The short version (SysML 2018), time to 88% accuracy under reverse gradients:

| adversaries | DRACO | geometric median | speed-up |
|---|---|---|---|
| 2.2% (1 of 45) | 84.15 s | 401.49 s | 4.77 |
| 6.7% (3 of 45) | 84.15 s | 419.65 s | 4.99 |
| 11.1% (5 of 45) | 84.15 s | 506.53 s | 6.02 |

The ICML paper, table 2, speed-up of repetition / cyclic code over the geometric median:

| attack, adversaries | to 80% | to 85% | to 88% | to 90% |
|---|---|---|---|---|
| constant, 2.2% | 3.4 / 2.7 | 3.5 / 2.8 | 4.8 / 3.9 | 4.1 / 3.1 |
| constant, 6.7% | 2.7 / 2.0 | 4.1 / 3.1 | 6.0 / 4.6 | 5.6 / 4.1 |
| constant, 11.1% | 2.9 / 2.2 | 4.8 / 3.7 | 6.1 / 4.7 | 5.3 / 3.8 |
| reverse, 2.2% | 2.2 / 1.9 | 2.4 / 2.2 | 4.1 / 3.7 | 3.2 / 2.9 |
| reverse, 6.7% | 3.1 / 2.5 | 3.3 / 3.1 | 5.5 / 4.8 | 4.5 / 3.7 |
| reverse, 11.1% | 2.7 / 2.3 | 3.0 / 2.6 | 3.1 / 2.7 | 3.1 / 2.6 |
"""

DIFFERS = """
Where ours differ, and why:

- **The geometric median need not be slow.** The paper's took most of a round. Ours computes the distances
  between the messages once and iterates on that small matrix, so a tight stopping rule costs little more than a
  loose one; the classical iteration over the messages stands beside it in bench/README.md, with its iterations.
  Whoever picks this version should expect less of a speed-up than the paper reports.
- **Redundant computation is not free.** With s = 5 a worker computes 11 times its share. Where computing
  dominates, a robust average with no redundancy takes less time per step; what DRACO gives for it is the model of
  the run without liars, bit for bit (repetition, prime field), and the names of the liars.
- **Time on a cluster is a model here**: one machine cannot run 45 workers at once. Its measured parts stand in
  columns of their own.
- Only as many steps as the setting allows are trained; a dash says that an accuracy was not reached in them.
"""


def say(text):
    print(text, flush=True)


class Trainer:
    def __init__(self, build, out, may_run):
        self.may_run = may_run
        self.program = os.path.join(build, "draco-train")
        self.runs = os.path.join(out, "runs")
        os.makedirs(self.runs, exist_ok=True)

    def run(self, name, options, alone=True):
        """The events of a run, trained now unless its metrics are there; None when it could not start."""
        path = os.path.join(self.runs, name + ".jsonl")
        events = read_events(path)
        if events and events[0].get("options") == options:
            return events[1:]
        if not self.may_run:
            return None
        command = [self.program, *options, "--progress=none", "--no-probe", "--share-parts", f"--metrics={path}.part"]
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

def worker_samples(method, s, batch):
    """(computations, samples of each) of the worker with most to do."""
    if method.startswith("DRACO repetition"):
        return 1, -(-batch // (WORKERS // (2 * s + 1)))
    if method.startswith("DETOX"):
        return 1, -(-batch // (WORKERS // 3))
    if method.startswith("DRACO cyclic"):
        return 2 * s + 1, -(-batch // WORKERS)
    return 1, -(-batch // WORKERS)


def gradient_seconds(trainer, part, samples):
    """Measured: one worker alone, one thread, a part of this many samples."""
    steps = 4 if part["model"] == "resnet18" else 15
    events = trainer.run(slug("gradient", part["model"], samples),
                         [f"--model={part['model']}", f"--data={part['data']}", "--workers=1", "--adversaries=0",
                          "--rule=mean", f"--batch={samples}", f"--steps={steps}", "--threads=1", "--eval-every=0"])
    if not events:
        return None
    took = [e["round_seconds"] - e["server_seconds"] for e in events if e["event"] == "step"]
    return statistics.median(took) if took else None


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
               *METHODS[method](s), f"--liars={s}", f"--attack={attack}", f"--batch={part['batch']}",
               f"--lr={part['lr']}", f"--steps={part['steps']}", f"--eval-every={part['every']}", "--seed=1"]
    events = trainer.run(slug(part["model"], s, attack, method), options)
    if not events:
        return None
    tests = tests_of(events)
    count, samples = worker_samples(method, s, part["batch"])
    one = gradient_seconds(trainer, part, samples)
    server = median_of(events, "server_seconds")
    dim = next((e["dim"] for e in events if e["event"] == "start"), 0)
    row = dict(model=part["model"], data=part["data"], n=WORKERS, s=s, attack=attack, method=method,
               batch=part["batch"], steps=part["steps"], accuracy=tests[-1][1] if tests else 0.0, tests=tests,
               server_seconds=server, worker_seconds=None if one is None else count * one,
               bytes_in=median_of(events, "bytes_in") or 0, bytes_out=4 * dim * WORKERS)
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

COMPLEX = "DRACO cyclic, complex"


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


def attack_table(trainer, build, steps, only):
    rules = [r for r in list_of(build, "rule") if "+" not in r and r not in ("detox", "nnm", "bucketing")]
    methods = [(r, [f"--rule={r}", f"--rule-f={TABLE['f']}"]) for r in rules]
    methods += [(f"{p}+{r}", [f"--rule={p}+{r}", f"--rule-f={TABLE['f']}"])
                for p, r in (("nnm", "trimmed-mean"), ("nnm", "krum"), ("bucketing", "median"))]
    methods += [("detox", ["--rule=detox", "--adversaries=1", f"--rule-f={TABLE['f']}"]),
                ("DRACO repetition", ["--code=repetition", f"--adversaries={TABLE['f']}"]),
                ("DRACO cyclic, complex", ["--code=cyclic", f"--adversaries={TABLE['f']}"]),
                ("DRACO cyclic, prime", ["--code=cyclic", "--field=prime", f"--adversaries={TABLE['f']}"])]
    attacks = [a for a in list_of(build, "attack") if not a.startswith("digest-") and (not only or a in only)]
    table = {}
    base = [f"--model={TABLE['model']}", f"--data={TABLE['data']}", f"--workers={TABLE['workers']}",
            f"--batch={TABLE['batch']}", f"--lr={TABLE['lr']}", f"--seed={TABLE['seed']}", f"--steps={steps}",
            "--eval-every=0"]

    def cell(name, options, attack):
        liars = [f"--attack={attack}", f"--liars={0 if attack == 'none' else TABLE['f']}"]
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


def training_tables(rows):
    lines = []
    for key in dict.fromkeys((r["model"], r["data"], r["s"], r["attack"]) for r in rows):
        group = [r for r in rows if (r["model"], r["data"], r["s"], r["attack"]) == key]
        base = next((r for r in group if r["method"] == "geometric median"), None)
        first = group[0]
        lines += ["", f"### {key[0]} on {key[1]}, s = {key[2]}, {ATTACKS[key[3]]}", "",
                  f"n = {WORKERS}, batch {first['batch']}, {first['steps']} steps. Measured: accuracy, steps to an accuracy, "
                  "seconds of one worker's gradient and of the server. Modelled: a round on a cluster, and from it the "
                  "speed-up over the geometric median in the time to an accuracy at 1 / 10 Gbit/s.", "",
                  "| method | accuracy | steps to 80 / 85 / 88 / 90% | worker ms | server ms | MB in | model: round s at 1 / 10 "
                  "Gbit/s | " + " | ".join(f"model: speed-up to {t}%" for t in TARGETS) + " |",
                  "|---" * (7 + len(TARGETS)) + "|"]
        for r in group:
            cells = [r["method"], f"{100 * r['accuracy']:.2f}%",
                     " / ".join(number(r[f"steps_{t}"], 1, 0) for t in TARGETS), number(r["worker_seconds"], 1e3),
                     number(r["server_seconds"], 1e3), number(r["bytes_in"], 1e-6, 0),
                     " / ".join(number(r[f"round_{l}"], 1, 2) for l in LINKS)]
            cells += [" / ".join(speedup(base, r, t, l) for l in LINKS) for t in TARGETS]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def speedup(base, row, target, link):
    if not base or not base[f"steps_{target}"] or not row[f"steps_{target}"] or not row[f"round_{link}"]:
        return "–"
    return f"{base[f'steps_{target}'] * base[f'round_{link}'] / (row[f'steps_{target}'] * row[f'round_{link}']):.2f}"


def attack_lines(trainer, methods, attacks, table, steps):
    lines = ["", "## Every rule against every attack", "",
             f"Final test accuracy in percent: FC on MNIST, n = {TABLE['workers']}, f = {TABLE['f']} liars drawn anew in each "
             f"step, batch {TABLE['batch']}, {steps} steps, seed {TABLE['seed']}. \"fails\": the run ended in an error, or "
             "the parameters were no longer finite. A dash: not run.", "",
             "| | " + " | ".join(attacks) + " |", "|---" * (len(attacks) + 1) + "|"]
    for m in methods:
        if any(table.get((m, a)) for a in attacks):
            lines.append(f"| {m} | " + " | ".join(shown(table.get((m, a))) for a in attacks) + " |")
    left = [m for m in methods if not any(table.get((m, a)) for a in attacks)]
    lines += ["", f"Not run yet: {', '.join(left)}.", ""] if left else [""]
    for m in ("DRACO repetition", "DRACO cyclic, prime"):
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
    """Accuracy against steps and time, one picture a group, by the trainer's own plotter."""
    plotter = os.path.join(build, "draco_plot")
    pictures = []
    if not os.path.exists(plotter):
        return pictures
    for key in dict.fromkeys((r["model"], r["s"], r["attack"]) for r in rows):
        group = [r for r in rows if (r["model"], r["s"], r["attack"]) == key]
        files = []
        for r in group:
            source = os.path.join(trainer.runs, slug(r["model"], r["s"], r["attack"], r["method"]) + ".jsonl")
            copy = os.path.join(out, "plot-" + os.path.basename(source))
            with open(source) as a, open(copy, "w") as b:  # without the line of options
                b.writelines(a.readlines()[1:])
            files.append(copy)
        picture = os.path.join(out, slug("accuracy", *key) + ".svg")
        title = f"{key[0]}, {key[1]} of {WORKERS} lie ({key[2]})"
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
             "(quick) or `make paper PAPER=--full`; written by bench/paper/paper.py, tables as CSV in build/paper. Times "
             "were taken on whatever else the machine was doing: the columns of one table compare, the absolute numbers "
             "may not.", "", "## The paper", PAPER, DIFFERS]
    if rows:
        lines += ["## Training with liars"] + training_tables(rows)
        lines += ["", "A round on a cluster is modelled as: the slowest worker's measured computation (its own gradient "
                  "time x its parts) + (parameters out + messages in) over the server's one link + the server's measured "
                  "time. A digest-first round sends the bodies of one worker a group and 32 bytes of the others."]
    if pictures:
        folder = os.path.join(os.path.dirname(path), "results")
        os.makedirs(folder, exist_ok=True)
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
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--build", default="build")
    parser.add_argument("--out", default=None)
    parser.add_argument("--results", default="docs/results.md")
    parser.add_argument("--only", action="append", choices=["training", "attacks", "server", "report"])
    parser.add_argument("--table-steps", type=int, default=None)
    o = parser.parse_args()
    wanted = o.only or ["training", "attacks", "server"]
    out = o.out or os.path.join(o.build, "paper-full" if o.full else "paper")
    os.makedirs(out, exist_ok=True)
    trainer = Trainer(o.build, out, wanted != ["report"])
    steps = o.table_steps or (400 if o.full else 30)
    rows, table, server, pictures = [], None, "", []
    server_path = os.path.join(out, "server.txt")
    if "training" in wanted or "report" in wanted:
        say("training with liars")
        rows = compare(trainer, FULL if o.full else QUICK)
        if rows:
            write_csv(os.path.join(out, "paper.csv"), rows)
            pictures = plots(o.build, out, rows, trainer)
    if "attacks" in wanted or "report" in wanted:
        say("every rule against every attack")
        table = attack_table(trainer, o.build, steps, None if o.full else QUICK_ATTACKS)
        with open(os.path.join(out, "attacks.csv"), "w", newline="") as f:
            writer = csv.writer(f)
            writer.writerow(["method"] + table[1])
            for m in table[0]:
                writer.writerow([m] + [shown(table[2].get((m, a))) for a in table[1]])
    if "server" in wanted:
        say("seconds at the server")
        command = [os.path.join(o.build, "bench", "bench_rules")] + (["--large"] if o.full else [])
        with open(server_path, "w") as f:
            f.write(subprocess.run(command, capture_output=True, text=True).stdout)
    if os.path.exists(server_path):
        with open(server_path) as f:
            server = f.read()
    write_report(trainer, o.results, rows, table, server, pictures, "full" if o.full else "quick", steps)
    return 0


if __name__ == "__main__":
    sys.exit(main())
