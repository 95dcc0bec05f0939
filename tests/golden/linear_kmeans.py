#!/usr/bin/python3
"""Golden values of the linear models and of k-means: written out from the formulas in numpy, double precision.

    /usr/bin/python3 tests/golden/linear_kmeans.py > tests/golden/linear_kmeans.h
"""
import numpy as np

rng = np.random.default_rng(20210406)
N, F, C, K = 7, 5, 3, 4
x = rng.standard_normal((N, F)).astype(np.float32).astype(np.float64)
labels = rng.integers(0, C, N)
targets = rng.standard_normal(N).astype(np.float32).astype(np.float64)
weights = (0.5 * rng.standard_normal((F, C))).astype(np.float32).astype(np.float64)
bias = (0.5 * rng.standard_normal(C)).astype(np.float32).astype(np.float64)
single = (0.5 * rng.standard_normal(F + 1)).astype(np.float32).astype(np.float64)
centres = rng.standard_normal((K, F)).astype(np.float32).astype(np.float64)
POSITIVE, L2 = 1, 0.125


def array(name, values, kind="double"):
    flat = np.asarray(values).reshape(-1)
    text = ", ".join(str(int(v)) if kind == "int" else repr(float(v)) for v in flat)
    print(f"static const {kind} {name}[{flat.size}] = {{{text}}};")


def softmax(sample):
    z = x[sample] @ weights + bias
    p = np.exp(z - z.max())
    p /= p.sum()
    loss = -np.log(p[labels[sample]])
    correct = int(np.argmax(z) == labels[sample])
    p[labels[sample]] -= 1.0
    return np.concatenate([np.outer(x[sample], p).reshape(-1), p]), loss, correct


def one_output(kind, sample):
    w, b = single[:F], single[F]
    z = x[sample] @ w + b
    y = 1.0 if labels[sample] == POSITIVE else -1.0
    if kind == "logistic":
        loss, dz, correct = np.logaddexp(0.0, -y * z), -y / (1.0 + np.exp(y * z)), y * z > 0
    elif kind == "svm":
        loss, dz, correct = max(0.0, 1.0 - y * z), (-y if y * z < 1.0 else 0.0), y * z > 0
    else:
        loss, dz, correct = 0.5 * (z - targets[sample]) ** 2, z - targets[sample], abs(z - targets[sample]) < 0.5
    gradient = np.concatenate([dz * x[sample] + L2 * w, [dz]])
    return gradient, loss + 0.5 * L2 * (w @ w), int(correct)


def kmeans(sample):
    distance = ((x[sample] - centres) ** 2).sum(axis=1)
    k = int(np.argmin(distance))
    gradient = np.zeros((K, F))
    gradient[k] = centres[k] - x[sample]
    return gradient.reshape(-1), 0.5 * distance[k], k


print("/* Made by linear_kmeans.py; numpy, double precision, per sample. */")
print(f"enum {{ GOLDEN_SAMPLES = {N}, GOLDEN_FEATURES = {F}, GOLDEN_CLASSES = {C}, GOLDEN_CENTRES = {K}, "
      f"GOLDEN_POSITIVE = {POSITIVE} }};")
print(f"#define GOLDEN_L2 {L2}f")
array("golden_x", x)
array("golden_labels", labels, "int")
array("golden_targets", targets)
array("golden_softmax_params", np.concatenate([weights.reshape(-1), bias]))
array("golden_single_params", single)
array("golden_centres", centres)
for name, results in [("softmax", [softmax(i) for i in range(N)])] + [
        (kind, [one_output(kind, i) for i in range(N)]) for kind in ("logistic", "svm", "least_squares")] + [
        ("kmeans", [kmeans(i) for i in range(N)])]:
    array(f"golden_{name}_gradient", [r[0] for r in results])
    array(f"golden_{name}_loss", [r[1] for r in results])
    array(f"golden_{name}_{'nearest' if name == 'kmeans' else 'correct'}", [r[2] for r in results], "int")
