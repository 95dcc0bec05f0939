#!/usr/bin/env python3
"""What --metrics-port serves: numbers against the metrics and the ledger of the run, the format against a strict parser,
hostile clients, readiness, workers, and the page in a headless browser. usage: test_live.py BUILD; prints TAP; leaves
screenshots in BUILD/live/."""
import collections
import json
import math
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))

build = pathlib.Path(sys.argv[1]).resolve()
train = str(build / "draco-train")
work = pathlib.Path(tempfile.mkdtemp(prefix="draco-live-"))
shots = build / "live"
shots.mkdir(exist_ok=True)
small = ["--model=softmax", "--data=digits", "--train-samples=600", "--test-samples=100", "--threads=1", "--progress=none"]
number = failed = 0
running = []


def result(good, text):
    global number, failed
    number += 1
    failed += not good
    print("ok" if good else "not ok", number, "-", text, flush=True)


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(*options, name="run"):
    log = open(work / f"{name}.log", "w")
    one = subprocess.Popen([train, *small, *options], stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
    running.append(one)
    return one


def curl(at, path, *options):
    """Status, head, body; status 0: no answer."""
    done = subprocess.run(["curl", "--noproxy", "*", "-sS", "-i", "--path-as-is", "--max-time", "15", *options, f"http://127.0.0.1:{at}{path}"], capture_output=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.[01] (\d+)", head)
    return int(found[1]) if found else 0, head.decode("latin-1"), body.decode()


def until(what, seconds=30):
    end = time.time() + seconds
    while time.time() < end:
        value = what()
        if value:
            return value
        time.sleep(0.1)
    return None


def prometheus(text):
    """The text format, strictly: {name: {labels: value}}. Each family once, HELP and TYPE before its samples, nothing twice."""
    families, samples, family = {}, collections.defaultdict(dict), None
    assert text.endswith("\n"), "no newline at the end"
    for line in text[:-1].split("\n"):
        found = re.fullmatch(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)", line)
        if found:
            kind, name, rest = found.groups()
            if kind == "HELP":
                assert name not in families, f"{name} twice"
                family, families[name] = name, None
            else:
                assert name == family and families[name] is None and rest in ("counter", "gauge", "summary"), line
                families[name] = rest
            continue
        found = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (NaN|[+-]Inf|-?[0-9.]+(?:e[+-]?[0-9]+)?)', line)
        assert found, f"not a sample: {line}"
        name, labels, value = found.groups()
        base = re.sub("_(sum|count)$", "", name) if families[family] == "summary" else name
        assert base == family and families[family], f"{name} is not of {family}"
        assert name.startswith("draco_") and (families[family] == "counter") == name.endswith("_total"), name
        pairs = tuple(sorted(re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', labels or "")))
        assert len({k for k, _ in pairs}) == len(pairs) and pairs not in samples[name], f"twice: {line}"
        samples[name][pairs] = float(value)
    return samples


def get_metrics(at):
    return prometheus(curl(at, "/metrics")[2])


def state(at):
    return json.loads(curl(at, "/state.json")[2])


LETTERS = {"B": "blamed", "S": "suspected", "M": "malformed", "G": "gone", "T": "slow", "L": "late"}


def grid_counts(rounds, n):
    counts = [collections.Counter() for _ in range(n)]
    for _, letters in rounds:
        for i, letter in enumerate(letters):
            if letter in LETTERS:
                counts[i][LETTERS[letter]] += 1
            if letter in ".BSM":
                counts[i]["present"] += 1
    return counts


def differ(a, b, keys=("blamed", "suspected", "malformed", "gone", "slow", "late", "present")):
    return [(i, k) for i in range(len(a)) for k in keys if a[i][k] != b[i][k]]


def of_metrics(path, rounds, n):
    """What the first rounds of a file of metrics say of each worker."""
    counts = [collections.Counter() for _ in range(n)]
    steps = [json.loads(line) for line in open(path) if line.startswith('{"event":"step"')][:rounds]
    assert len(steps) == rounds
    for step in steps:
        for key in ("blamed", "suspected", "malformed"):
            for i in step[key]:
                counts[i][key] += 1
        for i in range(n):
            counts[i]["present" if i not in step["absent"] else "absent"] += 1
    return counts


def numbers(main, run):
    metrics = until(lambda: curl(main, "/healthz")[0] == 200 and (m := get_metrics(main))["draco_rounds_total"][()] > 30 and m)
    result(metrics, "the run is served while it trains, and /metrics is Prometheus' format")
    seen = int(metrics["draco_ledger_rounds_total"][()])
    until(lambda: open(work / "metrics").read().count('"event":"step"') > seen)
    told = of_metrics(work / "metrics", seen, 15)
    rows = metrics["draco_worker_rounds_total"]
    wrong = [(i, k) for i in range(15) for k in ("blamed", "suspected", "malformed", "present") if rows[(("kind", k), ("worker", str(i)))] != told[i][k]]
    wrong += [i for i in range(15) if sum(rows[(("kind", k), ("worker", str(i)))] for k in ("gone", "slow", "late")) != told[i]["absent"]]
    result(not wrong and sum(t["blamed"] for t in told) == 2 * seen, f"after {seen} rounds the counters are what the metrics' lines add up to {wrong[:3] or ''}")
    # What is told is some tenths of a second old: the next that differs.
    after = lambda a: until(lambda: (b := state(main))["rounds"] > a["rounds"] and b)
    one, two = until(lambda: (a := state(main)) and (b := after(a)) and b["rounds"] - a["rounds"] <= 240 and (a, b))
    new = two["rounds"] - one["rounds"]
    between = [{k: b[k] - a[k] for k in (*LETTERS.values(), "present")} for a, b in zip(one["workers"], two["workers"])]
    result(not differ(grid_counts(two["grid"][-new:], 15), between), f"the grid's last {new} rounds are what the ledger counted in them")
    status, head, body = curl(main, "/readyz")
    result((status, body) == (200, "ready\n"), "/readyz: ready")
    result("no-store" in head and "default-src 'none'" in head and "nosniff" in head, "answers are not kept, and load nothing from elsewhere")
    status, _, body = curl(main, "/")
    result(status == 200 and not re.search(r'(?:src|href)="(?!data:)|https?://(?!www\.w3\.org/2000/svg)', body), "the page names nothing elsewhere")


def hostile(main):
    wrong = []
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "FROB"):
        status, head, _ = curl(main, "/metrics", "-X", method, *(["-d", "x" * 100000] if method == "POST" else []))
        if status != 405 or "Allow: GET, HEAD" not in head:
            wrong.append((method, status))
    for path in ("/nothing", "/../../etc/passwd", "/%2e%2e/etc/passwd", "/metrics/", "//", "/%00", "/state.json%00.html", "/" + "a" * 3000):
        if curl(main, path)[0] not in (404, 400, 414):
            wrong.append((path[:30], curl(main, path)[0]))
    for host, code in (("evil.example", 403), ("evil.example:80", 403), (f"127.0.0.1.evil.example:{main}", 403), ("", 403), ("localhost", 200), (f"LOCALHOST:{main}", 200),
                       (f"127.0.0.1:{main}", 200), ("[::1]:1", 200), ("[::1", 403), ("[", 403), (":", 403), ("a" * 500, 403)):
        if curl(main, "/state.json", "-H", f"Host: {host}" if host else "Host;")[0] != code:
            wrong.append((host[:30], curl(main, "/state.json", "-H", f"Host: {host}" if host else "Host;")[0]))
    if not 400 <= curl(main, "/", "-H", "X: " + "a" * 60000)[0] < 500:
        wrong.append("a huge head")
    for bytes_ in (b"\0" * 5000, b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n", bytes(range(256)) * 40, b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", main)) as s:
            s.settimeout(15)
            try:
                s.sendall(bytes_)
                if b" 200 " in s.recv(4096):
                    wrong.append(bytes_[:20])
            except OSError:
                pass
    head = subprocess.run(["curl", "--noproxy", "*", "-sS", "-I", f"http://127.0.0.1:{main}/state.json"], capture_output=True, text=True).stdout
    if " 200 " not in head.split("\n")[0] or "{" in head:
        wrong.append("HEAD")
    result(not wrong, f"wrong methods, paths, hosts, heads and bytes are refused {wrong[:4] or ''}")
    flood = []
    for _ in range(1000):
        try:
            flood.append(socket.create_connection(("127.0.0.1", main), 5))
        except OSError:
            break
    for s in flood:
        s.close()
    result(until(lambda: curl(main, "/healthz")[0] == 200, 15), f"after {len(flood)} connections at once it still answers")


class Drips:
    """Clients that send a byte now and then, and never a whole head."""

    def __init__(self, main, count):
        self.begin, self.open, self.lasted = time.time(), [], []
        for _ in range(count):
            s = socket.create_connection(("127.0.0.1", main))
            s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
            s.settimeout(0.01)
            self.open.append(s)
        self.thread = threading.Thread(target=self.drip)
        self.thread.start()

    def drip(self):
        while self.open and time.time() < self.begin + 40:
            for s in list(self.open):
                try:
                    s.sendall(b"a")
                    if s.recv(100) == b"":
                        raise OSError
                except TimeoutError:
                    continue
                except OSError:
                    self.open.remove(s)
                    s.close()
                    self.lasted.append(time.time() - self.begin)
            time.sleep(0.5)


# In the page: what each row of the grid draws, by kind, from the paths alone.
CELLS = """const size = seen.size, w = seen.w, n = last.workers.length, gap = size > 8 ? 2 : 1, rows = Array.from({length: n}, () => ({}));
for (const path of document.querySelectorAll('#grid path[data-kind]')) {
    const kind = path.dataset.kind;
    for (const part of path.getAttribute('d').split('M').slice(1)) {
        const [x, y] = part.split(/[a-z]/)[0].split(' ').map(Number), row = rows[Math.floor(y / size)];
        row[kind] = (row[kind] || 0) + (kind === '.' ? Math.round((Number(part.split('h')[1].split('v')[0]) + gap) / w) : 1);
    }
}
return {rows, shown: seen.rounds, n, table: [...document.querySelectorAll('#ledger tbody tr')].map(r => [Number(r.dataset.worker), Object.fromEntries([...r.querySelectorAll('[data-key]')].map(c => [c.dataset.key, Number(c.textContent)]))]), workers: last.workers};"""


def page(browser, at, n):
    address = f"http://127.0.0.1:{at}/"
    browser.size(1280, 900)
    browser.open(address)
    browser.wait("return last && last.rounds > 12", 60)
    browser.run("document.getElementById('pause').click()")
    seen = browser.run(CELLS)
    told = grid_counts(seen["shown"], n)
    drawn = []
    for row in seen["rows"]:  # the strip of a worker has all its cells on it
        one = {LETTERS[k]: v for k, v in row.items() if k != "."}
        one["present"] = row.get(".", 0) - sum(v for k, v in row.items() if k in "GTL")
        drawn.append(collections.Counter(one))
    wrong = differ(drawn, told)
    result(seen["n"] == n and len(seen["shown"]) > 5 and not wrong and sum(t["blamed"] for t in told) > 0, f"{n} workers: the cells of {len(seen['shown'])} rounds are those of the state {wrong[:3] or ''}")
    table = dict(map(tuple, seen["table"]))
    wrong = differ([table[i] for i in range(n)], seen["workers"])
    result(len(table) == n and not wrong, f"{n} workers: the table is the ledger {wrong[:3] or ''}")
    result(browser.run("const s = structuredClone(last); s.label = s.not_ready = s.workers[0].name = s.workers[0].address = '<img src=x onerror=\"window.hit=1\">';"
                       "s.workers[0].events = [{event: '<b>', time: null, text: '<script>window.hit=1</script>'}]; show(s); const good = document.querySelectorAll('img, td b, td script').length === 0"
                       " && document.getElementById('ledger').textContent.includes('<img'); show(last); return good && !window.hit"), f"{n} workers: hostile names are text")
    wide = []
    for width in (360, 1280):
        for theme in ("light", "dark"):
            browser.media(prefers_color_scheme=theme)
            browser.size(width, 900)
            browser.run_async("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))")
            if browser.run("return document.documentElement.scrollWidth") > width:
                wide.append(width)
            browser.screenshot(shots / f"{n}-{width}-{theme}.png")
    result(not wide, f"{n} workers: nothing is wider than the window {wide or ''}")
    elsewhere = browser.run("return performance.getEntries().filter(e => e.name.includes('://') && !e.name.startsWith(location.origin)).map(e => e.name)")
    errors = browser.errors()
    result(not elsewhere and not errors, f"{n} workers: no error on the console, no request to elsewhere {(elsewhere + errors)[:2] or ''}")


def pages(main):
    missing = [tool for tool in ("chromium", "chromedriver") if not shutil.which(tool)]
    if missing:
        result(True, f"the page in a browser # SKIP {missing[0]} is not installed")
        return
    from browser import Browser
    many = port()
    start("--workers=200", "--adversaries=5", "--stragglers=2", "--batch=200", "--share-parts", "--steps=1000000", "--attack=reverse", "--missing=2", f"--metrics-port={many}", name="many")
    browser = Browser()
    try:
        page(browser, main, 15)
        page(browser, many, 200)
        running[-1].send_signal(signal.SIGINT)
        running[-1].wait(60)
        browser.run("document.getElementById('pause').click()")
        browser.wait("return document.body.classList.contains('stale') && document.getElementById('status').textContent.includes('no answer')")
        result(True, "the page says when the run no longer answers")
    finally:
        browser.close()


def grpc():
    at, serve, ports = port(), port(), [port() for _ in range(3)]
    common = ["--transport=grpc", f"--address=127.0.0.1:{at}", "--workers=3", "--adversaries=1", "--steps=1000000", "--batch=30", "--seed=1"]
    server = start(*common, "--role=server", "--join-seconds=60", "--deadline=5", f"--metrics-port={serve}", name="server")
    body = until(lambda: (r := curl(serve, "/readyz"))[0] and r)
    result(body and body[0] == 503 and body[2] == "no round yet\n" and curl(serve, "/healthz")[0] == 200, "before workers have come: alive, and not ready")
    workers = [start(*common, "--role=worker", f"--worker={i}", f"--metrics-port={ports[i]}", name=f"worker-{i}") for i in range(3)]
    ready = until(lambda: curl(serve, "/readyz")[0] == 200 and all(curl(p, "/readyz")[0] == 200 for p in ports), 60)
    result(ready, "with workers: all are ready")
    metrics, served = [get_metrics(p) for p in ports], get_metrics(serve)
    good = all(m["draco_replies_total"][()] > 0 and m["draco_received_bytes_total"][()] > 0 and m["draco_sent_bytes_total"][()] > 0 and
               sum(m["draco_requests_total"].values()) >= m["draco_replies_total"][()] and len(m["draco_phase_seconds_total"]) == 3 and "draco_worker_rounds_total" not in m for m in metrics)
    result(good, "each worker serves its own seconds and counts")
    result(all(state(p)["role"] == "worker" and state(p)["number"] == i for i, p in enumerate(ports)) and
           all(served["draco_worker_events_total"][(("event", "joins"), ("worker", str(i)))] == 1 for i in range(3)) and
           all("127.0.0.1" in dict(k)["address"] for k in served["draco_worker_info"]), "who is who")
    if shutil.which("chromedriver") and shutil.which("chromium"):
        from browser import Browser
        browser = Browser()
        try:
            browser.size(1280, 900)
            browser.open(f"http://127.0.0.1:{ports[0]}/")
            browser.wait("return last && last.done > 5", 30)
            browser.screenshot(shots / "worker.png")
            result(browser.run("return document.querySelectorAll('#requests tr').length") > 5 and not browser.errors(), "a worker's page")
        finally:
            browser.close()
    for one in workers[1:]:
        one.kill()
        one.wait()
    why = until(lambda: (r := curl(serve, "/readyz"))[0] == 503 and r[2], 30)
    result(why and re.fullmatch(r"1 of 3 workers replied, for [0-9.]+ s\n", why), f"without a quorum: not ready, and why: {(why or '').strip()}")
    result(get_metrics(serve)["draco_ready"][()] == 0, "draco_ready is 0")
    for one in (server, workers[0]):
        one.kill()


def mpi():
    """Rank R listens on the port + R: the server, then three workers."""
    # Below the ports that mpirun takes for itself.
    first = next(p for p in iter(lambda: random.randrange(10000, 30000), None) if all(free(p + r) for r in range(4)))
    log = open(work / "mpi.log", "w")
    job = subprocess.Popen(["mpirun", "-n", "4", train, *small, "--transport=mpi", "--workers=3", "--adversaries=1", "--steps=1000000", "--batch=30", f"--metrics-port={first}"],
                           stdout=log, stderr=log, env={**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
                                                        "OMPI_MCA_hwloc_base_binding_policy": "none", "OMPI_MCA_plm_rsh_agent": "", "OMP_NUM_THREADS": "1"})
    running.append(job)
    ready = until(lambda: all(curl(first + r, "/readyz")[0] == 200 for r in range(4)), 60)
    who = ready and [(s["role"], s["number"]) for s in (state(first + r) for r in range(4))]
    result(who == [("server", 0), ("worker", 0), ("worker", 1), ("worker", 2)], f"MPI: each rank on a port of its own {who or ''}")
    names = [w["name"] for w in state(first)["workers"]] if ready else []
    result(names == ["rank 1", "rank 2", "rank 3"], "MPI: workers are called by their ranks")
    job.terminate()
    job.wait(60)


def free(at):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", at)) != 0


try:
    main = port()
    run = start("--workers=15", "--adversaries=2", "--stragglers=1", "--batch=600", "--steps=1000000", "--eval-every=50", "--attack=reverse", "--missing=1",
                f"--metrics={work / 'metrics'}", f"--ledger={work / 'ledger'}", f"--metrics-port={main}")
    numbers(main, run)
    hostile(main)
    drips = Drips(main, 20)
    again = subprocess.run([train, *small, "--steps=1", f"--metrics-port={main}"], capture_output=True, text=True)
    result(again.returncode == 2 and f"port {main}: Address already in use" in again.stderr, "a port that is taken is told, with status 2")
    pages(main)
    drips.thread.join()
    result(len(drips.lasted) == 20 and max(drips.lasted) < 30, f"20 clients that send a byte now and then are cut: the last after {max(drips.lasted, default=0):.0f} s")
    before = get_metrics(main)
    result(until(lambda: get_metrics(main)["draco_rounds_total"][()] > before["draco_rounds_total"][()]), "meanwhile rounds went on")
    metrics = get_metrics(main)
    run.send_signal(signal.SIGINT)
    run.wait(60)
    ledger = json.load(open(work / "ledger"))
    told = of_metrics(work / "metrics", ledger["rounds"], 15)
    result(not differ(told, ledger["workers"], ("blamed", "suspected", "malformed", "present")) and
           all(metrics["draco_worker_rounds_total"][(("kind", k), ("worker", str(w["worker"])))] <= w[k] for w in ledger["workers"] for k in ("blamed", "present")),
           f"in the end the ledger has the same {ledger['rounds']} rounds")
    records = [json.loads(line) for line in open(work / "metrics") if line.startswith('{"event":"ledger"')]
    middle = records[len(records) // 2]
    result(len(records) >= 2 and not differ(of_metrics(work / "metrics", middle["rounds"], 15), middle["workers"], ("blamed", "suspected", "malformed", "present")),
           f"the metrics have the ledger {len(records)} times during the run")
    picture = work / "grid.svg"
    plot = subprocess.run([str(build / "draco_plot"), "--verdicts", str(picture), "a <run>", str(work / "metrics")], capture_output=True, text=True)
    result(plot.returncode == 0 and picture.read_text().count("class='blamed'") > 0 and "a &#60;run>" in picture.read_text().replace("&#62;", ">"), "draco_plot draws the verdicts of the metrics")
    with open(work / "short", "w") as short:
        short.writelines(line for line in open(work / "metrics") if json.loads(line).get("step", 0) < 100)
    subprocess.run([str(build / "draco_plot"), "--verdicts", str(picture), "verdicts", str(work / "short")], check=True)
    cells = of_metrics(work / "short", 100, 15)
    result(picture.read_text().count("class='blamed'") == sum(c["blamed"] for c in cells) and picture.read_text().count("class='absent'") == sum(c["absent"] for c in cells),
           "... each of 100 rounds, cell for cell")
    shutil.copy(picture, shots / "grid.svg")
    if "built without" not in subprocess.run([train, "--transport=grpc", "--role=worker"], capture_output=True, text=True).stderr:
        grpc()
    if shutil.which("mpirun") and b"libmpi" in subprocess.run(["ldd", train], capture_output=True).stdout:
        mpi()
    print(f"1..{number}")
finally:
    for one in running:
        if one.poll() is None:
            one.kill()
    if failed:
        for log in sorted(work.glob("*.log")):
            print(f"# {log.name}: " + log.read_text()[-600:].replace("\n", "\n# "))
    shutil.rmtree(work, ignore_errors=True)
sys.exit(failed > 0)
