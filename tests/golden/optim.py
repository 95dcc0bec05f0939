#!/usr/bin/python3
"""Golden values of the optimizers and schedules: the formulas of the papers in numpy, double precision.

    /usr/bin/python3 tests/golden/optim.py > tests/golden/optim.h
"""
import math

import numpy as np

rng = np.random.default_rng(7)
N, STEPS = 5, 6
start = rng.standard_normal(N).astype(np.float32).astype(np.float64)
gradients = (3.0 * rng.standard_normal((STEPS, N))).astype(np.float32).astype(np.float64)
RATE, MU, B1, B2, EPS, DECAY, CLIP = (float(np.float32(v)) for v in (0.05, 0.8, 0.85, 0.95, 1e-6, 0.02, 4.0))


def clipped(g):
    norm = math.sqrt(float(g @ g))
    return g * min(1.0, CLIP / norm)


def run(kind):
    p, m, v, path = start.copy(), np.zeros(N), np.zeros(N), []
    for k in range(STEPS):
        g = clipped(gradients[k])
        if kind != "adamw":
            g = g + DECAY * p
        if kind == "sgd":
            p = p - RATE * g
        elif kind == "momentum":
            m = MU * m + g
            p = p - RATE * m
        elif kind == "nesterov":
            m = MU * m + g
            p = p - RATE * (g + MU * m)
        else:
            if kind == "adamw":
                p = p - RATE * DECAY * p
            m = B1 * m + (1 - B1) * g
            v = B2 * v + (1 - B2) * g * g
            p = p - RATE * (m / (1 - B1 ** (k + 1))) / (np.sqrt(v / (1 - B2 ** (k + 1))) + EPS)
        path.append(p.copy())
    return np.array(path)


def rates(schedule, warmup=4, steps=12, period=3, factor=0.5, floor=0.125):
    out = []
    for k in range(16):
        r = min(1.0, (k + 1) / warmup)
        if schedule == "step":
            r *= factor ** (k // period)
        if schedule == "cosine" and k >= warmup:
            t = min(1.0, (k - warmup) / (steps - warmup))
            r *= floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * t))
        out.append(r)
    return out


def array(name, values):
    flat = np.asarray(values).reshape(-1)
    print(f"static const double {name}[{flat.size}] = {{{', '.join(repr(float(v)) for v in flat)}}};")


print("/* Made by optim.py; numpy, double precision. */")
print(f"enum {{ GOLDEN_N = {N}, GOLDEN_STEPS = {STEPS} }};")
array("golden_start", start)
array("golden_gradients", gradients)
for kind in ("sgd", "momentum", "nesterov", "adam", "adamw"):
    array(f"golden_{kind}", run(kind))
for schedule in ("constant", "step", "cosine"):
    array(f"golden_rates_{schedule}", rates(schedule))
