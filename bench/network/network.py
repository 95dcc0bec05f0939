#!/usr/bin/env python3
"""Rounds on a real network: a cluster of network namespaces whose links are held to a rate.

usage: network.py [--build DIR] [--out FILE] [--workers N,N...] [--transports T,T...] [--methods WORD,WORD...]
                  [--broadcasts B,B...] [--rate MBIT] [--steps N] [--model M] [--adversaries S] [--relays lie|stall|stop|die]

Needs root, iproute2, and a kernel with veth, bridges and tbf. Every host is a namespace of its own with one veth pair to a
bridge, which stands in a namespace too; tbf limits both ends of each pair. So nothing is made in, or read from, the
namespace that the machine itself lives in, and all of it goes when the namespaces go: at the end, after an error and after
SIGTERM. A run of build/draco-train over MPI (mpirun starts its daemons through an agent that enters the namespace) or
gRPC follows for each method; seconds are the median of the steps after the first, bytes those of the server's card by the
interface's counters, from the end of the first step to the end of the last. link: the seconds
that the bytes need at the rate, out, then what workers relay (a unit, through their links), then in, as a share of those measured (above 1 where these overlap); idle: the
share of the machine's processor time that nobody used. limit: what the seconds are those of. "link" from a share of 0.8 on; below that
"wait" where a fifth of the processors was idle (time-outs), and "cores" where not: such a row is not of the network. It is written, marked so, and makes the exit status 1. Runs of the same n, s, model, transport and
rule must end with the same model whatever their broadcast and relays: one that does not is not written and makes the exit status 1.
FILE (docs/results/network.csv) keeps its rows of other settings; a row that is measured again replaces its former self. The table also goes to stdout.

--relays: over MPI other S workers in each step change a bit of what they relay (lie), relay nothing (stall), or only the beginning of their
piece (stop). die: S workers are killed a tenth of a second into a step, in the middle of the relay, and the model must be that of a run in
which nobody dies. Over gRPC in every step but the first, in turn, and each is started again at once and joins again in the step in which it
was killed, or the next. A rank of MPI that is dead cannot come back: three runs of three steps, with deaths in the last; the row has the median of
these last steps.
"""
import argparse
import contextlib
import csv
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

METHODS = {
    "mean": ["--code=none", "--rule=mean"],
    "geometric median": ["--code=none", "--rule=geometric-median"],
    "Krum": ["--code=none", "--rule=krum"],
    "DRACO repetition": ["--vote=messages"],
    "DRACO repetition, challenge": ["--vote=challenge"],
    "DRACO reactive, challenge": ["--vote=challenge", "--redundancy=reactive"],
}
KEYS = ("n", "s", "model", "rate_mbit", "transport", "method", "broadcast")
FIELDS = (*KEYS, "parameters", "steps", "seconds", "out_bytes", "in_bytes", "out_units", "in_units", "link", "idle", "limit", "load", "digest")
LINK, IDLE = 0.8, 0.2  # shares from which the links are the limit; of idle processors
SECONDS = 240  # the longest that a run may take
NET = "10.213.0."
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Failed(Exception):
    pass


def ip(*words, batch=None):
    done = subprocess.run(["ip", *words], input=batch, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Cluster:
    """Host 0 is the server, hosts 1 to n the workers; host i has the address 10.213.0.(i + 1)."""

    def __init__(self, hosts, rate):
        self.names = [f"draco-{os.getpid()}-{i}" for i in range(hosts)]
        self.switch = f"draco-{os.getpid()}-switch"
        self.made = []
        self.rate = rate

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def build(self):
        for name in (self.switch, *self.names):
            ip("netns", "add", name)
            self.made.append(name)
        ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.switch, "link", "set", "bridge", "up")
        mac = [f"02:dc:00:00:00:{i:02x}" for i in range(len(self.names))]
        for i, name in enumerate(self.names):
            ip("-n", self.switch, "link", "add", f"port{i}", "type", "veth", "peer", "name", "eth0", "address", mac[i],
               "netns", name)
            ip("-n", self.switch, "-batch", "-", batch=f"link set port{i} master bridge\nlink set port{i} up\n")
            # Permanent neighbours: n^2 entries would overflow the kernel's table, which all namespaces share.
            ip("-n", name, "-batch", "-", batch="link set lo up\nlink set eth0 up\n" f"addr add {NET}{i + 1}/24 dev eth0\n" + "".join(
                f"neigh replace {NET}{j + 1} lladdr {mac[j]} nud permanent dev eth0\n" for j in range(len(mac)) if j != i))
            for where, device in ((name, "eth0"), (self.switch, f"port{i}")):
                done = subprocess.run(["tc", "-n", where, "qdisc", "add", "dev", device, "root", "tbf", "rate", f"{self.rate}mbit",
                                       "burst", "512kb", "latency", "200ms"], capture_output=True, text=True)
                if done.returncode:
                    raise Failed(f"tc: {done.stderr.strip()}")

    def clear(self):
        """End what a run left behind: whoever lives in a namespace of ours was started by us."""
        for name in self.made:
            for process in ip("netns", "pids", name).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)

    def kill_worker(self, host):
        for process in ip("netns", "pids", self.names[host]).split():
            with contextlib.suppress(OSError):
                with open(f"/proc/{process}/comm") as f:
                    if f.read().strip() == "draco-train":
                        os.kill(int(process), signal.SIGKILL)

    def __exit__(self, *_):
        with contextlib.suppress(Failed):
            self.clear()
        for name in self.made:
            with contextlib.suppress(Failed):
                ip("netns", "delete", name)

    def card(self):
        """Bytes out of and into the server's card so far."""
        stats = json.loads(ip("-n", self.names[0], "-s", "-j", "link", "show", "eth0"))[0]["stats64"]
        return stats["tx"]["bytes"], stats["rx"]["bytes"]


def enter(name):
    return ["ip", "netns", "exec", name]


def processor():
    """(idle, all) ticks of the machine so far."""
    with open("/proc/stat") as f:
        ticks = [int(x) for x in f.readline().split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


class Samples(threading.Thread):
    """The card's counters at the end of each step: when its line arrives in the pipe that is the server's --metrics. die(step) is
    called in the middle of the relay of each step in `deaths`."""

    def __init__(self, cluster, path, deaths, die):
        super().__init__(daemon=True)
        self.cluster, self.path, self.deaths, self.die = cluster, path, deaths, die
        self.steps, self.events = [], {}

    def run(self):
        with open(self.path) as lines:
            for line in lines:
                event = json.loads(line)
                if event["event"] == "step":
                    self.steps.append((event, self.cluster.card(), processor()))
                    if len(self.steps) in self.deaths:
                        threading.Timer(0.1, self.die, [len(self.steps)]).start()
                self.events[event["event"]] = event


def commands(o, cluster, n, transport, options, scratch):
    """The processes of a run, the one whose end is the run's first."""
    train = [os.path.abspath(os.path.join(o.build, "draco-train")), f"--transport={transport}", f"--workers={n}", "--progress=none",
             f"--model={o.model}", "--data=digits", "--train-samples=2000", "--test-samples=100", "--eval-every=0",
             f"--batch={4 * n}", f"--steps={o.steps}", f"--adversaries={o.adversaries}", "--threads=1", *options]
    metrics = f"--metrics={scratch}/metrics"
    if transport == "grpc":
        common = [*train, f"--address={NET}1:7400", "--insecure-plain-text-beyond-this-machine"]
        relay = "--broadcast=relay" in options
        return [[*enter(cluster.names[0]), *common, "--role=server", metrics],
                *([*enter(cluster.names[i + 1]), *common, "--role=worker", f"--worker={i}", *([f"--relay-listen={NET}{i + 2}:7401"] * relay)]
                  for i in range(n))]
    agent, rank = f"{scratch}/agent", f"{scratch}/rank"
    with open(agent, "w") as f:  # called with an address and a command of mpirun's; a host has a name of its own, or it would be local
        f.write("#!/bin/sh\nhost=$1\nshift\ni=$((${host##*.} - 1))\n"
                f"exec ip netns exec draco-{os.getpid()}-$i unshare --uts sh -c \"hostname draco-$i; $*\"\n")
    with open(rank, "w") as f:  # rank 0 alone writes metrics
        f.write(f"#!/bin/sh\n[ \"$OMPI_COMM_WORLD_RANK\" = 0 ] && set -- \"$@\" {metrics}\n")
        if o.relays in ("lie", "stall", "stop"):
            bad = f"{ROOT}/bench/network/bad_relay.c"
            subprocess.run(["mpicc", "-shared", "-fPIC", bad, "-o", f"{scratch}/bad.so"], check=True)
            f.write(f"export BAD_RELAY={o.relays} BAD_N={n} BAD_S={o.adversaries} LD_PRELOAD={scratch}/bad.so\n")
        f.write(f"exec {ROOT}/scripts/mpi_rank.sh \"$@\"\n")  # the run survives a worker
    for script in (agent, rank):
        os.chmod(script, 0o700)
    hosts = ",".join(f"{NET}{i + 1}" for i in range(n + 1))
    return [[*enter(cluster.names[0]), "mpirun", "--allow-run-as-root", "--mca", "plm_rsh_agent", agent, "--mca", "plm_rsh_no_tree_spawn",
             "1", "--mca", "plm_rsh_num_concurrent", "64", "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "eth0", "--mca",
             "oob_tcp_if_include", "eth0", "--mca", "orte_allowed_exit_without_sync", "1", "--bind-to", "none", "--host", hosts, "-n",
             str(n + 1), rank, *train]]


def run(o, cluster, n, transport, options, deaths=()):
    """What Samples saw of one run; S workers die after each step in `deaths`."""
    with tempfile.TemporaryDirectory() as scratch, open(f"{scratch}/log", "w+") as log:
        def start(command):
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True)

        def die(step):  # others in each step
            if len(samples.steps) != step:
                return
            died.append(step)
            for host in ((step * o.adversaries + k) % n + 1 for k in range(o.adversaries)):
                if transport == "mpi":
                    cluster.kill_worker(host)
                    continue
                processes[host].kill()
                processes[host].wait()
                processes[host] = start(lines[host])

        os.mkfifo(f"{scratch}/metrics")
        died = []
        samples = Samples(cluster, f"{scratch}/metrics", deaths, die)
        samples.start()
        environment = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
        lines = commands(o, cluster, n, transport, options, scratch)
        processes = [start(line) for line in lines]
        until = time.monotonic() + SECONDS
        while processes[0].poll() is None and time.monotonic() < until:
            if deaths and "end" in samples.events:  # mpirun may wait for the dead
                until = min(until, time.monotonic() + 3)
            time.sleep(0.05)
        try:
            for process in processes:
                process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        finally:
            for process in processes:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            cluster.clear()
        samples.join(2)
        if (processes[0].returncode and not deaths) or len(samples.steps) < o.steps or "end" not in samples.events:
            log.seek(0)
            raise Failed(f"the run ended with {processes[0].returncode} after {len(samples.steps)} steps:\n{log.read()[-3000:]}")
        if len(died) < len(deaths):
            raise Failed("a step ended before its relays died")
        return samples


def measure(o, cluster, n, transport, options):
    """The steps that count of one run, or where relays die over MPI the last ones of several."""
    if o.relays == "die" and transport == "mpi":
        o = argparse.Namespace(**{**vars(o), "steps": 3})
    alive = run(o, cluster, n, transport, options)
    if o.relays != "die":
        return alive
    runs = [run(o, cluster, n, transport, options, (o.steps - 1,)) for _ in range(3)] if transport == "mpi" else [
        run(o, cluster, n, transport, options, range(1, o.steps))]
    for samples in runs:
        if samples.events["end"]["model_digest"] != alive.events["end"]["model_digest"]:
            raise Failed("another model than without deaths")
    if transport == "grpc":
        return runs[0]
    runs.sort(key=lambda x: x.steps[-1][0]["train_seconds"] - x.steps[-2][0]["train_seconds"])
    runs[1].steps = runs[1].steps[-2:]
    return runs[1]


def row_of(o, n, transport, method, broadcast, samples):
    dim, steps = samples.events["start"]["dim"], samples.steps
    (_, first, busy_from), (_, last, busy_to) = steps[0], steps[-1]
    times = [e["train_seconds"] for e, _, _ in steps]
    seconds = statistics.median(b - a for a, b in zip(times, times[1:]))
    out, into = ((b - a) / (len(steps) - 1) for a, b in zip(first, last))
    idle = (busy_to[0] - busy_from[0]) / max(1, busy_to[1] - busy_from[1])
    mean = (times[-1] - times[0]) / (len(times) - 1)
    relayed = 4 * dim if broadcast == "relay" else 0
    link = (out + relayed + into) * 8e-6 / o.rate / mean
    limit = "link" if link >= LINK else "wait" if idle >= IDLE else "cores"
    return dict(n=n, s=o.adversaries, model=o.model, rate_mbit=o.rate, transport=transport,
                method=method + (f"; {o.adversaries} relays {o.relays}" if o.relays else ""), broadcast=broadcast,
                parameters=samples.events["start"]["parameters"], steps=len(steps) - 1, seconds=f"{seconds:.3f}", out_bytes=f"{out:.0f}",
                in_bytes=f"{into:.0f}", out_units=f"{out / 4 / dim:.2f}", in_units=f"{into / 4 / dim:.2f}",
                link=f"{link:.2f}", idle=f"{idle:.2f}", limit=limit, load=f"{os.getloadavg()[0]:.1f}",
                digest=samples.events["end"]["model_digest"])


def rule_of(method):
    """What the model depends on: no vote, no relays."""
    return method.split(";")[0].replace(", challenge", "")


def check(row, kept):
    """Another broadcast, other relays: the same model after as many steps."""
    for other in kept:
        same = all(str(other[k]) == str(row[k]) for k in ("n", "s", "model", "transport", "steps"))
        if same and rule_of(other["method"]) == rule_of(row["method"]):
            if other["digest"] != row["digest"]:
                raise Failed(f"another model than {other['method']}, {other['broadcast']}")


def write(path, rows):
    """rows in place of those of the same setting."""
    kept = []
    if os.path.exists(path):
        with open(path, newline="") as f:
            kept = [{"limit": "", **row} for row in csv.DictReader(f)]
    for row in rows:
        row = {k: str(row[k]) for k in FIELDS}
        same = [i for i, k in enumerate(kept) if all(k[key] == row[key] for key in KEYS)]
        if same:
            kept[same[0]] = row
        else:
            kept.append(row)
    for row in rows:
        check(row, kept)
    with open(path, "w", newline="") as f:
        writer = csv.DictWriter(f, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--out", default="docs/results/network.csv")
    parser.add_argument("--workers", default="15", help="numbers of workers, with commas; default 15")
    parser.add_argument("--adversaries", type=int, default=2)
    parser.add_argument("--model", default="fc")
    parser.add_argument("--rate", type=int, default=200, help="Mbit/s of each link; default 200")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--transports", default="mpi,grpc")
    parser.add_argument("--broadcasts", default="direct,relay")
    parser.add_argument("--methods", default="", help="only methods whose name has one of these words")
    parser.add_argument("--relays", choices=["lie", "stall", "stop", "die"], help="S workers relay so (over grpc: die alone)")
    o = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("network.py: needs root, to make network namespaces")
    for tool in ("ip", "tc", "unshare"):
        if not shutil.which(tool):
            sys.exit(f"network.py: {tool} is missing (Debian: iproute2, util-linux)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    known = subprocess.run([os.path.join(o.build, "draco-train"), "--help"], capture_output=True, text=True, check=True).stdout
    failed = 0
    for n in (int(x) for x in o.workers.split(",")):
        with Cluster(n + 1, o.rate) as cluster:
            for transport in o.transports.split(","):
                for method, options in METHODS.items():
                    for broadcast in o.broadcasts.split(","):
                        if not any(w in method for w in o.methods.split(",")):
                            continue
                        more = [] if broadcast == "direct" else [f"--broadcast={broadcast}"]
                        if any(x.split("=")[0] not in known for x in (*options, *more)):
                            continue  # this build has it not
                        try:
                            row = row_of(o, n, transport, method, broadcast, measure(o, cluster, n, transport, [*options, *more]))
                            write(o.out, [row])
                        except Failed as e:
                            failed += 1
                            print(f"n = {n}, {transport}, {method}, {broadcast}: {e}", file=sys.stderr)
                            continue
                        if row["limit"] == "cores":
                            failed += 1
                            print(f"n = {n}, {transport}, {method}, {broadcast}: the processors were the limit, not the links", file=sys.stderr)
                        print(" ".join(f"{k}={row[k]}" for k in FIELDS if k != "parameters"), flush=True)
    return failed > 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as e:
        sys.exit(f"network.py: {e}")
