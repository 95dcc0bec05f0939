"""A long run whose workers have faults (soak.h), and what has to be true after it: prints TAP.

usage: soak.py BUILD TRANSPORT ROUNDS SEED TESTS-BEFORE

n = 15, s = 2, and t = 2 for those that are absent. Over gRPC a killed worker is started again; over MPI, where a killed rank
cannot come back, one is killed, and others stay away until the server waits for them no longer. Compared are the model with the
one of a run without faults, the ledger and every round of the audit trail with what the workers themselves wrote down, and the
server's memory and descriptors with what they were.
"""
import collections, json, os, random, shutil, subprocess, sys, tempfile, time

build, transport, rounds, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
N, MEGABYTES, full = 15, 4, rounds > 2000
DEADLINE = 3 if full else 2
folder = tempfile.mkdtemp(prefix="draco-soak-")
environment = dict(os.environ, OMP_NUM_THREADS="1", PEER_FAULT="soak", SOAK_DIR=folder, SOAK_SEED=str(seed), SOAK_DEADLINE=str(DEADLINE),
                   SOAK_LATE=str(400 if full else 200), SOAK_DEAD=str(50 if full else 100), SOAK_AWAY="0")
options = f"""--model=softmax --data=digits --train-samples=600 --test-samples=100 --workers={N} --adversaries=2 --stragglers=2 --batch=30
    --steps={rounds} --seed={seed} --threads=1 --eval-every=0 --progress=none""".split()
serving = f"--wait=all --deadline={DEADLINE} --no-probe --params={folder}/soaked --ledger={folder}/ledger --audit={folder}/trail".split()
tests = int(sys.argv[5])


def result(good, text, *why):
    global tests
    tests += 1
    print("%s %d - %s: %s" % ("ok" if good else "not ok", tests, transport, text))
    for line in () if good else why:
        print("#", line)
    sys.stdout.flush()


def start(name, *command):
    with open(f"{folder}/{name}.log", "a") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)


def lay(token):
    open(f"{folder}/{token}", "w").close()


def size(path):
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


# ---- The processes ----

class Grpc:
    def __init__(self):
        common = options + ["--transport=grpc", f"--address=unix:{folder}/socket"]
        self.worker = [[f"{build}/tests/peer_train", *common, "--role=worker", f"--worker={i}"] for i in range(N)]
        self.main = start("server", f"{build}/draco-train", *common, *serving)
        self.processes = [start(f"log-{i}", *self.worker[i]) for i in range(N)]
        self.back = {}  # worker: when it is to be started
        self.awaited = {}  # worker: length of its record when it was
        self.starts = [1] * N

    def server(self):
        return self.main.pid

    def look(self, now):
        for i in range(N):
            code = self.processes[i].poll()
            if code == -9 and i not in self.back:
                self.back[i] = now + random.uniform(0, 4 if full else 0.5)
            if i in self.back and now > self.back[i]:
                self.awaited[i] = size(f"{folder}/worker-{i}")
                self.processes[i] = start(f"log-{i}", *self.worker[i])
                self.starts[i] += 1
                del self.back[i]
            if i in self.awaited and size(f"{folder}/worker-{i}") > self.awaited[i]:
                del self.awaited[i]
                lay("dead")

    def kill(self):
        for process in [self.main, *self.processes]:
            process.kill()


class Mpi:
    def __init__(self):
        environment.update(SOAK_AWAY=str(1000 if full else 200), OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                           OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_hwloc_base_binding_policy="none")
        if not shutil.which("ssh"):
            environment.update(OMPI_MCA_plm_rsh_agent="")
        common = options + ["--transport=mpi"]
        keep = ["sh", "-c", f'echo $$ >{folder}/pid; exec "$@"', "sh"]
        self.main = start("server", "mpirun", "--mca", "orte_allowed_exit_without_sync", "1", "-n", "1", *keep, f"{build}/draco-train", *common,
                          *serving, ":", "-n", str(N), "scripts/mpi_rank.sh", f"{build}/tests/peer_train", *common)
        self.pid, self.starts = 0, [1] * N

    def server(self):
        if not self.pid and size(f"{folder}/pid"):
            with open(f"{folder}/pid") as file:
                self.pid = int(file.read())
        return self.pid

    def look(self, now):
        pass

    def kill(self):
        self.main.terminate()


def sample(pid):
    with open(f"/proc/{pid}/status") as file:
        memory = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return size(f"{folder}/trail"), memory, len(os.listdir(f"/proc/{pid}/fd"))


def run():
    lay("late")
    lay("dead")
    begin, samples = time.time(), []
    job = Grpc() if transport == "grpc" else Mpi()
    while job.main.poll() is None and time.time() - begin < 60 + rounds:
        try:
            if job.server():
                samples.append(sample(job.server()))
        except (OSError, StopIteration):
            pass
        job.look(time.time())
        time.sleep(0.05)
    if job.main.poll() is None:
        job.kill()
    job.main.wait()
    for process in getattr(job, "processes", []):
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    return job, samples, time.time() - begin


# ---- What has to be true ----

def thirds(samples, column):
    """The most in the first and in the last third of the rounds, after those of the first twentieth."""
    end = samples[-1][0] if samples else 0
    part = lambda low, high: [s[column] for s in samples if low * end <= s[0] <= high * end] or [0]
    return max(part(0.05, 0.37)), max(part(0.67, 1))


def read_record(i):
    try:
        with open(f"{folder}/worker-{i}") as file:
            return [(int(step), what) for step, what in (line.split() for line in file)]
    except OSError:
        return []


def expected(record, verdicts):
    """What the ledger has to say, and the verdict of each step. The first request of a worker that was started, or is back, may be one
    of a round that has done without it; only what it says there may go unheard."""
    counts = collections.Counter(what for _, what in record)
    letters, before, last = {}, "dead", -1
    for step, what in record:
        counts["joins"] += before == "dead"
        counts["returns"] += before == "away" and step != last
        if what == "away":
            for late in range(step, step + 3):
                letters[late] = "A"
        elif what in ("late", "dead"):
            letters[step] = "A"
        if what in ("reply", "lie", "none"):
            unheard = (before == "dead" or before == "away" and step != last) and step > 0 and what == "reply" and verdicts.get(step) == "A"
            counts["unheard"] += unheard
            if before not in ("late", "away") or step != last:
                letters[step] = "A" if unheard else {"reply": ".", "lie": "B", "none": "M"}[what]
            else:  # to a request of which the deadline has passed
                counts[what] -= 1
                continue
        before, last = what, step
    return counts, letters


def compare(job):
    with open(f"{folder}/ledger") as file:
        ledger = json.load(file)
    verdicts = [{} for _ in range(N)]
    with open(f"{folder}/trail") as file:
        lines = [line for line in map(json.loads, file) if line["event"] == "round"]
    for line in lines:
        for i, letter in enumerate(line["verdicts"]):
            verdicts[i][line["step"]] = letter
    wrong, sums = [], collections.Counter()
    if ledger["rounds"] != rounds or len(lines) != rounds:
        wrong.append("%d rounds in the ledger, %d in the trail, of %d" % (ledger["rounds"], len(lines), rounds))
    for i, row in enumerate(ledger["workers"]):
        c, letters = expected(read_record(i), verdicts[i])
        present = c["reply"] + c["lie"] + c["none"] - c["unheard"]
        slow = c["late"] + 3 * c["away"]
        want = dict(blamed=c["lie"], malformed=c["none"], suspected=0, slow=slow, late=0, present=present, gone=rounds - present - slow,
                    losses=c["dead"] + c["away"], refusals=0)
        joins = c["joins"] + c["returns"], job.starts[i] + c["away"]  # the last may have come when all was done
        sums.update(c, requests=present)
        wrong += ["worker %d: %s %d, and %d by its own record" % (i, key, row[key], want[key]) for key in want if row[key] != want[key]]
        if not joins[0] <= row["joins"] <= joins[1]:
            wrong.append("worker %d: joined %d times, and %d to %d times by its own record" % (i, row["joins"], *joins))
        wrong += ["worker %d, step %d: %s, and %s by its own record" % (i, step, verdicts[i].get(step), letters.get(step, "A"))
                  for step in range(rounds) if verdicts[i].get(step) != letters.get(step, "A")]
    return wrong, sums


def same(a, b):
    try:
        with open(a, "rb") as one, open(b, "rb") as two:
            return one.read() == two.read()
    except OSError:
        return False


random.seed(seed)
print("# %s: %d rounds, seed %d" % (transport, rounds, seed))
plain = start("plain", f"{build}/draco-train", *options, f"--params={folder}/plain").wait()
job, samples, seconds = run()
code = job.main.returncode
logs = [line.rstrip() for name in ("plain", "server") for line in open(f"{folder}/{name}.log", errors="replace")][-12:]
result(plain == 0 and code == 0, "%d rounds with faults end well" % rounds, "code %d" % code, *logs)
result(same(f"{folder}/plain", f"{folder}/soaked"), "the model has the bytes of the run without faults")
try:
    wrong, sums = compare(job)
except (OSError, ValueError, KeyError) as error:
    wrong, sums = [repr(error)], collections.Counter()
result(not wrong, "the ledger and the trail equal the faults: %d lies, %d times no reply, %d late, %d away, %d killed"
       % tuple(sums[key] for key in ("lie", "none", "late", "away", "dead")), *wrong[:12])
result(sums["lie"] and sums["none"] and sums["late"] + sums["away"] and sums["dead"], "there was each kind of fault")
memory, files = thirds(samples, 1), thirds(samples, 2)
result(0 < memory[1] <= memory[0] + 1024 * MEGABYTES, "the server's memory is flat: %d kB in the first third, %d kB in the last (%d MB more allowed)"
       % (*memory, MEGABYTES))
result(0 < files[1] <= files[0] + 1, "so are its descriptors: %d and %d" % files)
print("# %.0f s, %d samples, %d requests answered, %d of them in rounds that had done without the worker"
      % (seconds, len(samples), sums["requests"] + sums["unheard"], sums["unheard"]))
if os.environ.get("SOAK_KEEP"):
    print("#", folder)
else:
    shutil.rmtree(folder, ignore_errors=True)
