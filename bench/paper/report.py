#!/usr/bin/env python3
"""From what paper.py measured to the pages that a person reads.

usage: report.py [--data DIR] [--results FILE] [--build DIR]

DIR (docs/results) holds paper.csv, attacks.csv, server.txt, about.json, and network.csv of bench/network. FILE (docs/results.md) becomes the page
of one screen or two, FILE with -tables in its name all other tables; the pictures and copies of the data go to the folder
results beside it. Any of the data may be missing; what it would show is left out.
"""
import argparse
import csv
import html
import json
import os
import shutil
import subprocess
import tempfile

DATA = ("paper.csv", "attacks.csv", "server.txt", "network.csv", "about.json")
TARGETS = (80, 85, 88, 90)
LINKS = (1, 10)  # Gbit/s
FAST, CLASSICAL, LOOSE = "geometric median", "geometric median, classical", "geometric median, classical, loose"
REPETITION, CHALLENGE = "DRACO repetition", "DRACO repetition, challenge"
REACTIVE = "DRACO reactive, evicting"
COMPLEX, PRIME = "DRACO cyclic, complex", "DRACO cyclic, prime"
CODES = (REPETITION, CHALLENGE, COMPLEX, PRIME)
PLOTTED = (FAST, CLASSICAL, "median", "Multi-Krum", *CODES)
ATTACKS = {"reverse": "reverse gradient (-100 x)", "constant": "constant (-100)"}
MODELS = {"fc": "FC network", "lenet": "LeNet", "textcnn": "Text CNN", "resnet18": "ResNet-18"}
DATA_SETS = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "cifar10": "CIFAR-10", "mr": "movie reviews"}
LEARNT = 0.2  # a curve is drawn where some method gets at least so much of the test set right

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
Why the ratios are smaller than the paper's:

- **The geometric median need not be slow.** In the paper it took most of a round. Here it is compiled and uses both cores.
  The default computes the distances between the messages once and iterates on that small matrix; "classical" reads the
  messages in every iteration, as the literature describes it. Both take a fraction of a second.
- **The link decides.** Whatever the rule, each worker gets one vector per step and sends one. Through one link these 90 vectors
  take 3 s at 1 Gbit/s and 0.3 s at 10 Gbit/s, more than everything else together. Less moves only with a
  challenge: one body per group, or per s + 1 workers (reactive); and, with `--broadcast=relay`, one vector out instead of n.
- **Redundant computation is not free.** With s = 5 a worker computes 11 times its share. Where computing dominates, an aggregation
  rule takes less time per step; what DRACO gives for it is the model of the run without liars, and the names of the liars.
- **Time on a cluster is a model here**, from parts that were measured; the rounds on a network below
  are measured whole. The model lets all bytes go out before any come in. Measured, the directions overlap: with direct parameters
  most rounds take 0.8 to 1 of the seconds that the model gives their bytes. With relayed parameters a unit more has to be counted, which the
  server's card does not show: a worker's piece has to come before it can go on to the others.
"""

COLUMNS = """
Measured: the accuracy on the test set and the steps to an accuracy (tested every few steps); worker ms, what one worker computes
per step (its r gradients and their encoding) alone on one thread; server ms, the median of the server's own time on this machine's
cores; MB in, what the server takes in. Modelled: a round on a cluster = worker + (parameters to all + messages in) over the server's
one link + server. A challenge takes one body per group and 17 bytes of each worker. A dash: not reached, or not run.
"""


# ---- The data ----

def figure(text):
    try:
        return float(text)
    except ValueError:
        return text or None


def read_rows(path):
    """paper.csv with its numbers as numbers, and tests: [(steps done, accuracy)]."""
    if not os.path.exists(path):
        return []
    with open(path, newline="") as f:
        rows = [{k: v if k in ("model", "data", "attack", "method", "train", "accuracy_after_steps") else figure(v)
                 for k, v in row.items()} for row in csv.DictReader(f)]
    for row in rows:
        row["tests"] = [(float(k), float(a)) for k, a in (t.split(":") for t in row["accuracy_after_steps"].split())]
    return rows


def read_dicts(path):
    if not os.path.exists(path):
        return []
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


def read_table(path):
    if not os.path.exists(path):
        return [], []
    with open(path, newline="") as f:
        head, *rows = csv.reader(f)
    return head[1:], [(row[0], row[1:]) for row in rows]


def read_text(path):
    if not os.path.exists(path):
        return ""
    with open(path) as f:
        return f.read()


def find(rows, **wanted):
    return next((r for r in rows if all(r[k] == v for k, v in wanted.items())), None)


def kinds(rows, *keys):
    """The different values of these keys, in the order they come."""
    return dict.fromkeys(tuple(r[k] for k in keys) for r in rows)


# ---- Cells ----

def number(value, scale=1.0, digits=1):
    return "–" if value is None else f"{value * scale:.{digits}f}"


def seconds_to(row, target, link=10):
    """Modelled: seconds on a cluster to an accuracy, or None."""
    if not row or not row[f"steps_{target}"] or not row[f"round_{link}"]:
        return None
    return row[f"steps_{target}"] * row[f"round_{link}"]


def speedup(base, row, target, link=10):
    slow, fast = seconds_to(base, target, link), seconds_to(row, target, link)
    return "–" if slow is None or fast is None else f"{slow / fast:.1f}"


def table_of(title, rows):
    return ["| " + " | ".join(title) + " |", "|---" * len(title) + "|"] + ["| " + " | ".join(r) + " |" for r in rows] + [""]


def model_name(model, data):
    return f"{MODELS.get(model, model)} on {DATA_SETS.get(data, data)}"


def title_of(row):
    return f"{model_name(row['model'], row['data'])}, {row['s']:.0f} of {row['n']:.0f} workers lie ({row['attack']})"


# ---- The page ----

def speed_table(rows):
    """One model, one attack, the most liars: every method."""
    first = find(rows, model="fc", attack="reverse") or rows[0]
    group = [r for r in rows if (r["model"], r["attack"]) == (first["model"], first["attack"])]
    group = [r for r in group if r["s"] == max(g["s"] for g in group)]
    first = group[0]
    cells = [[r["method"], f"{100 * r['accuracy']:.2f}%", number(r["worker_seconds"], 1e3), number(r["server_seconds"], 1e3),
              number(r["bytes_in"], 1e-6, 0), *(number(r[f"round_{link}"], 1, 2) for link in LINKS), number(seconds_to(r, 88))]
             for r in group]
    return ["## Speed", "", f"{title_of(first)}; batch {first['batch']:.0f}, {first['steps']:.0f} steps. Worker, server and bytes are "
            "measured per step; a round, and the seconds to an accuracy of 88%, are modelled: worker + bytes over the server's one link "
            "+ server, at 10 Gbit/s for the seconds.", "",
            *table_of(["method", "accuracy", "worker ms", "server ms", "MB in", *(f"round s, {k} Gbit/s" for k in LINKS), "s to 88%"],
                      cells)]


def network_section(rows):
    """Rounds that bench/network measured, as they are."""
    lines = []
    for key in kinds(rows, "n", "s", "model", "rate_mbit"):
        n, s, model, rate = key
        group = [r for r in rows if tuple(r[k] for k in ("n", "s", "model", "rate_mbit")) == key]
        cells = [[r["method"], r["transport"], r["broadcast"], r["seconds"], r["out_units"], r["in_units"], r["link"], r["limit"], r["load"]]
                 for r in group]
        lines += [f"{MODELS.get(model, model)}, {group[0]['parameters']} parameters, n = {n}, s = {s}, links of {rate} Mbit/s:", "",
                  *table_of(["method", "transport", "parameters", "s a step", "out, units", "in, units", "link", "limit", "load"], cells)]
    return ["## Rounds on a network", "", "Measured, not modelled: network namespaces with rate-limited links on one machine "
            "([bench/network](../bench/network)). A unit is one vector through the server's card, by the interface's counters. link: the "
            "seconds that the bytes need, out, then what workers relay (a unit, through their links), then in, as a share of those measured. limit: what the seconds are those of: link, from a "
            "share of 0.8 on; wait, where below that a fifth of the processors was idle; cores, where not: such a row says nothing of a "
            "network whose hosts have processors of their own but its units and an upper bound. load: the machine's when the row ended, "
            "other work included.", "", "Bad relays, s others in each step: they lie (a wrong bit), stall (relay nothing), stop (relay the "
            "beginning of their piece alone) or die: killed in the middle of the relay, over gRPC in every step, and started again at once; over "
            "MPI in one step, since a dead rank cannot come back. Every run ends with the model of the run without bad relays.", "", *lines] if lines else []


def paper_tables(rows):
    lines = []
    cells = []
    for s, paper in PAPER_SECONDS.items():
        draco, classical, fast = (find(rows, model="fc", attack="reverse", s=s, method=m) for m in (CHALLENGE, CLASSICAL, FAST))
        if draco:
            cells.append([f"{s} of {draco['n']:.0f}", *(f"{x}" for x in paper), number(seconds_to(draco, 88), 1, 2),
                          number(seconds_to(classical, 88), 1, 2), speedup(classical, draco, 88),
                          number(seconds_to(fast, 88), 1, 2), speedup(fast, draco, 88)])
    if cells:
        lines += ["Seconds to 88% under reverse gradients, FC on MNIST. The paper's ran on 46 machines, ours are modelled at 10 Gbit/s "
                  "(repetition, challenge); batch, learning rate and hardware differ, so compare the ratios.", "",
                  *table_of(["liars", "paper: DRACO", "paper: geometric median", "paper: ratio", "DRACO",
                             "geometric median, classical", "ratio", "geometric median, ours", "ratio"], cells)]
    cells = []
    for (attack, s), paper in PAPER_SPEEDUPS.items():
        classical, *codes = (find(rows, model="fc", attack=attack, s=s, method=m) for m in (CLASSICAL, REPETITION, CHALLENGE, COMPLEX))
        if classical:
            cells.append([attack, f"{s} of {classical['n']:.0f}", paper[TARGETS.index(88)],
                          " / ".join(speedup(classical, c, 88) for c in codes)])
    if cells:
        lines += ["How many times sooner than the classical geometric median DRACO gets to 88%:", "",
                  *table_of(["attack", "liars", "paper: repetition / cyclic", "repetition / challenge / cyclic complex"], cells)]
    return ["## Beside the paper", "", *lines, *DIFFERS.strip().splitlines(), ""] if lines else []


def attack_section(about, picture, fails):
    run = about.get("table")
    if not run:
        return []
    lines = ["## Every rule against every attack", "", f"Test accuracy in percent after {run['steps']} steps: "
             f"{model_name(run['model'], run['data'])}, n = {run['workers']}, {run['f']} liars drawn anew in each step, batch "
             f"{run['batch']}, seed {run['seed']}.", "", f"![Heat map: rules and codes by attacks]({picture})", ""]
    if fails:
        lines += ["\"fails\": the run ended in an error, or the parameters were no longer finite. Messages that are not numbers, or "
                  "not there, do not count; some rules cannot work with what remains.", ""]
    for method, models in about.get("models", {}).items():
        same = "the same bytes" if models["different"] == 1 else f"{models['different']} DIFFERENT models"
        lines.append(f"- {method}: the model without liars and under the {models['attacks']} attacks: {same}.")
    if about.get("apart") is not None:
        lines.append(f"- {COMPLEX}: the models under attack are within {about['apart']:.1e} (relative, Euclidean) of the model "
                     "without liars.")
    return lines + [""]


# ---- The other tables ----

def server_table(rows):
    """What the server computes in a step, and how many times longer the geometric median takes."""
    cells = []
    for model, attack, s in kinds(rows, "model", "attack", "s"):
        group = {r["method"]: r["server_seconds"] for r in rows if (r["model"], r["attack"], r["s"]) == (model, attack, s)}
        slow = [group.get(m) for m in (CLASSICAL, FAST)]
        own = [group.get(m) for m in CODES]
        cells.append([f"{model}, {attack}, s = {s:.0f}", *(number(x, 1e3) for x in slow),
                      *("–" if not x else f"{1e3 * x:.1f} ({'; '.join(number(y and y / x) for y in slow)})" for x in own)])
    return ["## The server's own work per step", "", "Measured milliseconds; in brackets, how many times longer the geometric median "
            "takes (classical; ours).", "", *table_of(["", CLASSICAL, FAST, *CODES], cells)]


def speedup_tables(rows):
    """The paper's table 2: how many times sooner at an accuracy than the geometric median."""
    lines = []
    for model, data in kinds(rows, "model", "data"):
        group = [r for r in rows if r["model"] == model]
        if not any(r[f"steps_{TARGETS[0]}"] for r in group):
            continue
        cells = []
        for attack, s in kinds(group, "attack", "s"):
            codes = [find(group, attack=attack, s=s, method=m) for m in (REPETITION, CHALLENGE, COMPLEX)]
            for link in reversed(LINKS):
                for base in (CLASSICAL, FAST):
                    row = find(group, attack=attack, s=s, method=base)
                    cells.append([f"{attack}, s = {s:.0f}", f"{base}, {link} Gbit/s",
                                  *(" / ".join(speedup(row, c, t, link) for c in codes) for t in TARGETS)])
            if model == "fc" and (attack, s) in PAPER_SPEEDUPS:
                cells.append([f"{attack}, s = {s:.0f}", "*the paper's*", *PAPER_SPEEDUPS[attack, s]])
        lines += [f"## Speed-up over the geometric median: {model_name(model, data)}", "", "In the time to an accuracy. A cell: "
                  "repetition / repetition with a challenge / cyclic, complex (modelled rounds). The paper's cells: repetition / "
                  "cyclic.", "", *table_of(["", "over", *(f"to {t}%" for t in TARGETS)], cells)]
    return lines


def training_tables(rows, pictures):
    lines = ["## Training with liars", "", *COLUMNS.strip().splitlines(), ""]
    to = " / ".join(str(t) for t in TARGETS)
    for key in kinds(rows, "model", "data", "s", "attack"):
        group = [r for r in rows if (r["model"], r["data"], r["s"], r["attack"]) == key]
        first = group[0]
        images = f", accuracy on the first {first['test']:.0f} of the test set" if first["test"] else ""
        reached = any(r[f"steps_{TARGETS[0]}"] for r in group)
        title = ["method", "accuracy", *([f"steps to {to}%"] if reached else []), "worker ms", "server ms", "MB in",
                 *(f"round s, {k} Gbit/s" for k in LINKS), *([f"s to {to}%, 10 Gbit/s"] if reached else [])]
        cells = [[r["method"], f"{100 * r['accuracy']:.2f}%",
                  *([" / ".join(number(r[f"steps_{t}"], 1, 0) for t in TARGETS)] if reached else []),
                  number(r["worker_seconds"], 1e3), number(r["server_seconds"], 1e3), number(r["bytes_in"], 1e-6, 0),
                  *(number(r[f"round_{k}"], 1, 2) for k in LINKS),
                  *([" / ".join(number(seconds_to(r, t)) for t in TARGETS)] if reached else [])] for r in group]
        lines += [f"### {model_name(key[0], key[1])}, s = {key[2]:.0f}, {ATTACKS.get(key[3], key[3])}", "",
                  f"n = {first['n']:.0f}, batch {first['batch']:.0f}, {first['train'].replace('--', '')}, {first['steps']:.0f} "
                  f"steps{images}.", "", *table_of(title, cells)]
        if key in pictures:
            lines += [f"![{title_of(first)}; time modelled at 10 Gbit/s]({pictures[key]})", ""]
    return lines


# ---- Pictures ----

def curves(plotter, rows, folder):
    """{(model, data, s, attack): picture} of the test error against steps and modelled time, by the trainer's plotter."""
    pictures = {}
    for key in kinds(rows, "model", "data", "s", "attack") if os.path.exists(plotter) else ():
        group = [find(rows, model=key[0], data=key[1], s=key[2], attack=key[3], method=m) for m in PLOTTED]
        group = [r for r in group if r and r["tests"]]
        if not group or max(r["accuracy"] for r in group) < LEARNT:
            continue
        name = f"error-{key[0]}-{key[2]:.0f}-{key[3]}.svg"
        with tempfile.TemporaryDirectory() as scratch:
            files = []
            for row in group:
                files.append(os.path.join(scratch, f"{len(files)}.jsonl"))
                events = [dict(event="start", label=row["method"])]
                events += [dict(event="test", step=k, train_seconds=k * (row["round_10"] or 0), accuracy=a) for k, a in row["tests"]]
                with open(files[-1], "w") as f:
                    f.writelines(json.dumps(e, separators=(",", ":")) + "\n" for e in events)
            subprocess.run([plotter, os.path.join(folder, name), f"{title_of(group[0])}; time modelled at 10 Gbit/s", *files],
                           check=True)
        pictures[key] = f"{os.path.basename(folder)}/{name}"
    return pictures


def shade(share):
    """A colour for 0 (nothing learnt) to 1 (as good as without liars): red, white, blue."""
    ends = ((178, 24, 43), (247, 247, 247), (33, 102, 172))
    low, high, at = (ends[0], ends[1], share / 0.75) if share < 0.75 else (ends[1], ends[2], (share - 0.75) / 0.25)
    return "#" + "".join(f"{round(a + (b - a) * max(0.0, min(1.0, at))):02x}" for a, b in zip(low, high))


def heat_map(path, attacks, table):
    """The table of attacks as a picture: a row per rule or code, a column per attack, accuracies as colours and numbers."""
    cell, high, left, top = 39, 23, 172, 104
    best = max((float(c) for _, cells in table for c in cells if isinstance(figure(c), float)), default=100.0)
    width, bottom = left + cell * len(attacks) + 64, top + high * len(table)
    out = [f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{bottom + 62}' viewBox='0 0 {width} {bottom + 62}' "
           "font-family='sans-serif' font-size='12'>", f"<rect width='{width}' height='{bottom + 62}' fill='#fff'/>"]
    for j, attack in enumerate(attacks):
        out.append(f"<text transform='translate({left + cell * j + 24} {top - 8}) rotate(-45)'>{html.escape(attack)}</text>")
    for i, (method, cells) in enumerate(table):
        y = top + high * i
        bold = " font-weight='bold'" if method.startswith("DRACO") else ""
        out.append(f"<text x='{left - 8}' y='{y + 16}' text-anchor='end'{bold}>{html.escape(method)}</text>")
        for j, text in enumerate(cells):
            value = figure(text)
            known = isinstance(value, float)
            share = value / best if known else 0.0
            fill = shade(share) if known else "#bbb"
            ink = "#fff" if known and (share < 0.3 or share > 0.96) else "#000"
            out.append(f"<rect x='{left + cell * j}' y='{y}' width='{cell - 1}' height='{high - 1}' fill='{fill}'/>"
                       f"<text x='{left + cell * j + cell // 2}' y='{y + 16}' text-anchor='middle' fill='{ink}'"
                       f">{f'{value:.0f}' if known else html.escape(text)}</text>")
    for k in range(200):
        out.append(f"<rect x='{left + 2 * k}' y='{bottom + 18}' width='2.5' height='12' fill='{shade(k / 199)}'/>")
    for k in range(0, int(best) + 1, 20):
        out.append(f"<text x='{left + 400 * k / best:.0f}' y='{bottom + 46}' text-anchor='middle'>{k}%</text>")
    out.append(f"<text x='{left + 420}' y='{bottom + 28}'>test accuracy; bold: codes, all others: aggregation rules</text>")
    with open(path, "w") as f:
        f.write("\n".join(out + ["</svg>"]) + "\n")


# ---- The report ----

def write(data, path, plotter):
    """The two pages at path and path-tables, from the files in data."""
    folder = os.path.join(os.path.dirname(path), "results")
    os.makedirs(folder, exist_ok=True)
    for name in DATA:
        source = os.path.join(data, name)
        if os.path.exists(source) and os.path.realpath(source) != os.path.realpath(os.path.join(folder, name)):
            shutil.copy(source, folder)
    rows = read_rows(os.path.join(data, "paper.csv"))
    attacks, table = read_table(os.path.join(data, "attacks.csv"))
    network = read_dicts(os.path.join(data, "network.csv"))
    server = read_text(os.path.join(data, "server.txt"))
    about = json.loads(read_text(os.path.join(data, "about.json")) or "{}")
    pictures = curves(plotter, rows, folder)
    heat = "attacks.svg"
    if table:
        heat_map(os.path.join(folder, heat), attacks, table)
    tables = os.path.splitext(path)[0] + "-tables.md"
    where = f"{about.get('date', '')}, {about.get('machine', '')}, {about.get('setting', '')} setting."

    page = ["# Results", "", "The experiment of Chen, Wang, Charles, Papailiopoulos, \"DRACO\", ICML 2018 (arXiv 1803.09877), and of its "
            "short version at SysML 2018: workers of which some send a wrong vector in every step, here against codes and against "
            "aggregation rules.", "", f"{where} All other tables: [{os.path.basename(tables)}]({os.path.basename(tables)}); the data: "
            + ", ".join(f"[{n}](results/{n})" for n in DATA if os.path.exists(os.path.join(data, n))) + ". `make paper` repeats it in some "
            "twelve minutes, `make paper PAPER=--full` in an hour and a quarter, with the data sets in the folder `DRACO_DATA`.", ""]
    page += attack_section(about, f"results/{heat}", any("fails" in cells for _, cells in table)) if table else []
    if rows:
        page += speed_table(rows)
        shown = find(rows, model="fc", s=5, attack="constant") or rows[0]
        key = tuple(shown[k] for k in ("model", "data", "s", "attack"))
        if key in pictures:
            page += [f"![{title_of(shown)}; time modelled at 10 Gbit/s]({pictures[key]})", ""]
        page += paper_tables(rows)
    page += network_section(network)

    more = ["# Results: all tables", "", f"{where} The page to read first is [{os.path.basename(path)}]({os.path.basename(path)}).", ""]
    if rows:
        more += server_table(rows) + speedup_tables(rows) + training_tables(rows, pictures)
        if any(r["model"] == "resnet18" for r in rows):
            more += ["ResNet-18's few steps are there for their times: its accuracy after them is chance. Its batch normalisation sees "
                     "the samples of one part (23 of a repetition group, 2 of the cyclic code), so codes of different parts train "
                     "different models; with liars and without the model of one code is the same.", ""]
    if table:
        more += ["## Every rule against every attack", "", f"The numbers of the heat map in {os.path.basename(path)}, in percent.", "",
                 *table_of(["", *attacks], [[m, *cells] for m, cells in table])]
    if server:
        more += ["## Seconds at the server", "", "Every rule as a multiple of reading the messages once (bench/bench_rules). The geometric "
                 "median stands there four times: on the matrix of distances and classical, with a tight and a loose stopping rule, "
                 "and with its iterations.", "", "```", server.strip("\n"), "```"]
    for name, lines in ((path, page), (tables, more)):
        with open(name, "w") as f:
            f.write("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="docs/results")
    parser.add_argument("--results", default="docs/results.md")
    parser.add_argument("--build", default="build")
    o = parser.parse_args()
    write(o.data, o.results, os.path.join(o.build, "draco_plot"))
