"""Golden numbers for tests/test_codes_reactive.c: how many messages are sent, gradients computed and liars caught by
reactive redundancy under a challenge, with eight kinds of liars. Written from the protocol (docs/codes.md), not from the C
code. Both draw from the Mersenne Twister in the same order, so that the counts must be equal.

    python3 tests/golden/reactive.py > tests/golden/reactive.h
"""
import random

KINDS = ["random", "collude", "claim-body", "claim-only", "silent", "silent-body", "split", "quiet"]
TRUTH, PLOT = 0, 7


def sends(kind, rng):
    """The message of a liar that is asked for it; None: nothing."""
    fixed = {"quiet": TRUTH, "claim-only": TRUTH, "silent-body": None, "collude": PLOT}
    return fixed[kind] if kind in fixed else rng.randrange(1, 1000)


def claims(kind, body, rng):
    """The message whose fingerprint a liar gives; None: nothing."""
    if kind == "split":
        return rng.choice([TRUTH, PLOT, rng.randrange(1, 1000)])
    fixed = {"quiet": TRUTH, "silent": None, "collude": PLOT, "claim-body": body}
    return fixed[kind] if kind in fixed else rng.randrange(1, 1000)


class Part:
    def __init__(self, team, spares, s, t, liars, missing, rng):
        self.team, self.spares, self.s, self.limit = list(team), list(spares), s, 2 * s + t + 1
        self.liars, self.missing, self.rng = liars, missing, rng
        self.bodies, self.proved = 0, set()

    def widen(self):
        more = min(self.limit - len(self.team), len(self.spares))
        for _ in range(max(more, 0)):
            self.team.append(self.spares.pop())
        return more > 0

    def answers(self, speaker, body):
        said = {}
        for w in self.team:
            if w == speaker:
                said[w] = body
            elif w in self.missing:
                said[w] = None
            else:
                said[w] = claims(self.liars[w], body, self.rng) if w in self.liars else TRUTH
        return said

    def decide(self):
        spoke, lost = set(), []
        while True:
            speaker = next((w for w in self.team if w not in spoke), None)
            if speaker is None:
                if not self.widen():
                    return None
                continue
            spoke.add(speaker)
            body = None if speaker in self.missing else sends(self.liars[speaker], self.rng) if speaker in self.liars else TRUTH
            if body is None:
                continue
            self.bodies += 1
            said = self.answers(speaker, body)
            friends = [w for w in self.team if said[w] == body]
            if len(friends) <= self.s and self.widen():
                said = self.answers(speaker, body)
                friends = [w for w in self.team if said[w] == body]
            if len(friends) <= self.s:
                lost.append((body, friends))
                continue
            self.proved |= {w for w in self.team if said[w] not in (None, body)}
            for other, others in lost:
                if other != body:
                    self.proved |= set(others)
            return body


def table(n, s, t, kind, rounds=400):
    rng = random.Random(1)
    bodies = computed = caught = 0
    groups = n // (s + 1 + t)
    for _ in range(rounds):
        order = list(range(n))
        rng.shuffle(order)
        missing = set(order[s:s + t])
        liars = {w: rng.choice(KINDS) if kind == "mixed" else kind for w in sorted(order[:s])}
        proved = set()
        for g in range(groups):
            team = [w for w in range(n) if w % groups == g]
            rng.shuffle(team)
            spares = [w for w in range(n) if w % groups != g]
            rng.shuffle(spares)
            part = Part(team, spares, s, t, liars, missing, rng)
            assert part.decide() == TRUTH
            bodies += part.bodies
            computed += len(part.team)
            proved |= part.proved
        assert proved <= set(liars)
        caught += len(proved)
    return bodies, computed, caught


def evicting(n, s, kind, chance, rounds=200):
    rng = random.Random(2)
    groups, out, cost = n // (s + 1), set(), []
    traitors = set(rng.sample(range(n), s))
    for _ in range(rounds):
        left, spent = s - len(out), 0
        active = {w: kind for w in sorted(traitors - out) if rng.random() < chance}
        for g in range(groups):
            team = [w for w in range(n) if w % groups == g and w not in out]
            rng.shuffle(team)
            others = [w for w in range(n) if w % groups != g and w not in out]
            rng.shuffle(others)
            while len(team) < left + 1:
                team.append(others.pop())
            others += team[left + 1:]
            part = Part(team[:left + 1], others, left, 0, active, set(), rng)
            assert part.decide() == TRUTH
            spent += len(part.team)
            out |= part.proved
            left = s - len(out)
        assert out <= traitors
        cost.append(spent)
    return [sum(cost[i:i + rounds // 10]) for i in range(0, rounds, rounds // 10)]


if __name__ == "__main__":
    print("/* Made by reactive.py. */")
    print("static const struct {\n    int n, s, t;\n    const char *liars;\n    long bodies, computed, caught;\n} golden_table[] = {")
    for n, s, t in [(6, 1, 0), (9, 1, 1), (15, 2, 0), (15, 2, 2), (45, 1, 0), (45, 3, 0), (45, 5, 0), (45, 5, 3)]:
        for kind in KINDS + ["mixed"]:
            print('    {%d, %d, %d, "%s", %s},' % (n, s, t, kind, ", ".join(map(str, table(n, s, t, kind)))))
    print("};\nstatic const struct {\n    int n, s;\n    const char *liars;\n    double chance;\n    long computed[10];\n} golden_evicting[] = {")
    for n, s, kind, chance in [(45, 5, "random", 0.02), (45, 5, "claim-body", 0.1), (45, 3, "collude", 0.05), (15, 2, "split", 0.05)]:
        print('    {%d, %d, "%s", %g, {%s}},' % (n, s, kind, chance, ", ".join(map(str, evicting(n, s, kind, chance)))))
    print("};")
