#!/usr/bin/env python3
"""Makes codes.h, the golden vectors of draco_codes.h: python3 tests/golden/codes.py > tests/golden/codes.h

The codes are stated here once more, from their formulas and with nothing but the standard library: whole
numbers for the prime field, complex numbers of double precision for the other."""
import cmath
import math
import random
import struct

P = 2**31 - 1


def support(n, r, spread):
    return [math.floor(l * n / r + 0.5) if spread else l for l in range(r)]


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def holders(n, r, spread, part):
    return {(part + o) % n for o in support(n, r, spread)}


def complex_coefficient(n, r, spread, part, worker):
    if worker not in holders(n, r, spread, part):
        return 0j
    root = lambda k: cmath.exp(2j * cmath.pi * k / n)
    value = 1 + 0j
    for m in range(n):
        if m not in holders(n, r, spread, part):
            value *= 1 - root(worker - m)
    return value


def prime_coefficient(n, r, spread, part, worker):
    if worker not in holders(n, r, spread, part):
        return 0
    value = 1
    for m in range(n):
        if m not in holders(n, r, spread, part):
            value = value * (1 - (worker + 1) * pow(m + 1, P - 2, P)) % P
    return value


def exponent(values):
    """0 for zeros; else the biased exponent of the largest, that of denormals being 1."""
    largest = max(abs(v) for v in values)
    if largest == 0:
        return 0
    return max(math.frexp(largest)[1] + 126, 1)


def agreed(n, exponents):
    """The least e >= 1 with which parts below 2^(x - 126) add up to less than 2^(e - 126) times what n equal parts
    need, a power of two; 0 when all are zero."""
    total = sum(2**x for x in exponents if x > 0)
    return max(total.bit_length() - n.bit_length(), 1) if total else 0


def quantum(n, e):
    return math.ldexp(1, e - 126 - (30 - n.bit_length()))


def away(x):
    """Nearest integer, halves away from zero."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


def c_array(kind, name, values, show):
    print("static const %s %s[] = {%s};" % (kind, name, ", ".join(show(v) for v in values)))


def show_float(x):
    return x.hex() + "f"


def case(index, n, s, t, spread, d, seed):
    rng = random.Random(seed)
    r = 2 * s + t + 1
    gradients = [[single(rng.gauss(0, 1) * 10 ** rng.uniform(-3, 0)) for _ in range(d)] for _ in range(n)]
    padded = [g + [0.0] * (d % 2) for g in gradients]
    pairs = len(padded[0]) // 2
    packed = [[complex(g[2 * j], g[2 * j + 1]) for j in range(pairs)] for g in padded]
    # complex messages, in double
    messages = []
    for i in range(n):
        total = [0j] * pairs
        for k in range(n):
            c = complex_coefficient(n, r, spread, k, i)
            if c != 0:
                total = [x + c * y for x, y in zip(total, packed[k])]
        messages += [f for z in total for f in (z.real, z.imag)]
    # prime messages
    e = agreed(n, [exponent(g) for g in gradients])
    unit = quantum(n, e)
    whole = [[away(v / unit) for v in g] for g in gradients]
    residues = []
    for i in range(n):
        total = [0] * d
        for k in range(n):
            c = prime_coefficient(n, r, spread, k, i)
            if c:
                total = [(x + c * y) % P for x, y in zip(total, whole[k])]
        residues += total
    sums = [sum(w[c] for w in whole) for c in range(d)]
    x = "golden%d_" % index
    c_array("float", x + "gradients", [v for g in gradients for v in g], show_float)
    coefficients = [complex_coefficient(n, r, spread, k, i) for k in range(n) for i in range(n)]
    c_array("double", x + "coefficients", [f for z in coefficients for f in (z.real, z.imag)], lambda v: "%.12g" % v)
    c_array("double", x + "messages", messages, lambda v: "%.12g" % v)
    c_array("uint32_t", x + "residue_coefficients",
            [prime_coefficient(n, r, spread, k, i) for k in range(n) for i in range(n)], str)
    c_array("uint32_t", x + "residues", residues, str)
    c_array("float", x + "sums", [single(v * unit) for v in sums], show_float)
    return "{%d, %d, %d, %d, %d, %d, %s}" % (n, s, t, int(spread), d, e, ", ".join(
        x + a for a in ("gradients", "coefficients", "messages", "residue_coefficients", "residues", "sums")))


def main():
    print("/* Made by tests/golden/codes.py: gradients of every part, coefficients and messages of every worker,\n"
          " * and the sum, for small codes. */")
    print("/* clang-format off */")
    cases = [case(0, 5, 1, 0, True, 6, 1), case(1, 5, 1, 0, False, 5, 2), case(2, 7, 2, 1, True, 5, 3),
             case(3, 9, 1, 2, False, 3, 4), case(4, 12, 2, 0, True, 4, 5)]
    print("typedef struct golden_case {\n    int n, s, t, spread;\n    size_t d;\n    int exponent;\n"
          "    const float *gradients;\n    const double *coefficients, *messages;\n"
          "    const uint32_t *residue_coefficients, *residues;\n    const float *sums;\n} golden_case;")
    print("static const golden_case golden_cases[] = {%s};" % ",\n    ".join(cases))


if __name__ == "__main__":
    main()
