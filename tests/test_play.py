#!/usr/bin/env python3
"""Drives every scene of the teaching page in a real browser and compares what it shows with the program made of the same
headers. usage: test_play.py BUILD; prints TAP; leaves screenshots in BUILD/play/."""
import os
import pathlib
import random
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from browser import Browser

build = pathlib.Path(sys.argv[1]).resolve()
shots = build / "play"
shots.mkdir(exist_ok=True)
number = 0
letters = {"undecided": "u", "agrees": "a", "blamed": "b", "absent": "d", "malformed": "m", "suspected": "s"}


def result(good, text):
    global number
    number += 1
    print(("ok" if good else "not ok"), number, "-", text, flush=True)


def program(*arguments):
    return subprocess.run([str(build / "play_program"), *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def go(scene, **values):
    browser.run("location.hash = arguments[0]", scene + "?" + "&".join(f"{k}={v}" for k, v in values.items()))
    browser.run_async("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))")


def shown():
    """Verdicts on the workers' buttons, and the status of the outcome."""
    names = browser.run("return [...document.querySelectorAll('.worker')].sort((a, b) => a.dataset.worker - b.dataset.worker).map(b => b.dataset.verdict)")
    return "".join(letters[n] for n in names), browser.run("return document.querySelector('.outcome').dataset.status")


def press(text):
    browser.run("[...document.querySelectorAll('button')].find(b => b.textContent === arguments[0]).click()", text)


begin = time.time()
browser = Browser()
try:
    browser.size(1600, 1000)
    browser.open((build / "play.html").as_uri())
    browser.wait("return document.documentElement.dataset.ready")
    result((build / "play.html").stat().st_size < 400_000, f"the page is one file of {(build / 'play.html').stat().st_size} bytes, under 400 kB")
    ready = browser.run("return +document.documentElement.dataset.ready")
    result(ready < 1000, f"the first scene answers {ready:.0f} ms after the page was opened, under a second")

    random.seed(1)
    cases = browser.run("return Array.from({length: 1000}, (_, k) => Engine.case(k))")
    native = program("cases", 0, 1000).splitlines()
    differ = [k for k in range(1000) if cases[k] != native[k]]
    result(not differ, f"1,000 random rounds of the repetition code and the prime field: verdicts and sums are the program's, bit for bit {differ[:5] or ''}")

    # Scenes with workers: settings by the address and by clicks, verdicts read from the page.
    for scene, code in (("vote", "repetition"), ("cyclic", "prime"), ("cyclic", "complex")):
        bad = []
        for trial in range(12):
            n = random.randint(5, 31)
            s = random.randint(1, (n - 1) // 2 if n < 9 else 4)
            kinds = [0] * n
            for w in random.sample(range(n), random.randint(0, s)):
                kinds[w] = random.choice([1, 2, 4, 6, 7] if code != "complex" else [1, 2, 4, 6])
            values = {"n": n, "s": s, "t": 0, "seed": trial + 1, "lies": "".join(map(str, kinds))}
            if scene == "cyclic":
                values["code"] = code
            go(scene, **values)
            if trial % 2:  # one more lie, by a click on a worker
                w = random.randrange(n)
                if kinds[w] == 0:
                    x, y = browser.run("const b = document.querySelector(`.worker[data-worker='${arguments[0]}']`); b.scrollIntoView({block: 'center'});"
                                       "const r = b.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]", w)
                    browser.drag([(x, y), (x, y)])
                    kinds[w] = 2 if scene == "vote" else 1
            told = program("round", n, s, 0, 0 if code == "repetition" else 1, 1 if code == "complex" else 0, 0, trial + 1, 8, "".join(map(str, kinds))).split()
            verdicts, status = shown()
            if verdicts != told[1] or status != told[0]:
                bad.append((values, verdicts, status, told[:2]))
        result(not bad, f"scene {scene}, {code}: the verdicts on the page are the program's {bad[:1] or ''}")

    go("vote", n=15, s=2, lies="")
    press("s + 1 collude")
    verdicts, status = shown()
    result(status == "0" and "wrong" in browser.run("return document.querySelector('.outcome').className") and "no decoder can tell" in browser.run("return document.querySelector('.says').textContent"),
           "s + 1 colluders win, and the page says why")
    go("vote", n=15, s=2, lies="100400400000000")
    result(shown()[1] != "0", "s + 1 different lies in a group are refused")

    # Points on a curve: by mouse and by keyboard.
    for degree, field in (("2", "reals"), ("1", "reals"), ("2", "mod97")):
        go("curve", degree=degree, field=field)
        x, y = browser.run("const r = document.querySelector('[data-point=\"2\"]').getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]")
        browser.drag([(x, y), (x, y - 20), (x, y - 45)])
        q = browser.run("return document.querySelector('[data-value=quotient]').textContent")
        zero = browser.run("return document.querySelector('[data-value=zero]').textContent")
        result(q == "3" and zero == "30", f"degree {degree}, {field}: a point dragged off the curve is found at x = {q}, and F(0) stays {zero}")
    browser.run("document.querySelector('[data-point=\"0\"]').focus()")
    browser.keys("\ue013", "\ue013")  # up, up
    result(browser.run("return State.values.off").startswith("2_"), "a point moves by the arrow keys")

    go("deal", n=9, s=1, code="repetition")
    held = browser.run("return document.querySelectorAll('.held').length")
    go("deal", n=9, s=1, code="prime")
    result(held == 9 and browser.run("return document.querySelectorAll('.held').length") == 27, "the assignment matrix shows who holds what")
    browser.run("document.querySelector('.matrix').focus()")
    browser.keys("\ue014", "\ue014")
    result("Worker 2 holds" in browser.run("return document.querySelector('.says').textContent"), "the matrix is read with the keyboard")
    go("deal", n=4, s=2)
    result("only 4" in browser.run("return document.querySelector('.outcome').textContent"), "a code that cannot be is refused with the reason")

    for attack in ("reverse", "min-max"):
        go("train", n=15, s=3, attack=attack)
        press("To the end")
        rows = browser.run("return [...document.querySelectorAll('.lanes tbody tr')].map(r => [r.dataset.lane, r.lastChild.className, r.children[3].textContent])")
        result(rows[2] == ["DRACO", "yes", "3"] and rows[0][1] == "no", f"training under {attack}: DRACO's model has the digest of the run without liars, and the mean's has not")

    # Dragging over the workers at n = 45: how often is a picture drawn?
    go("cyclic", n=45, s=10, lies="")
    rate = browser.run_async("""const done = arguments[0], all = [...document.querySelectorAll('.worker')]; let frames = 0, busy = 0; Painting.kind = 1;
        const t0 = performance.now(), frame = () => { const a = performance.now(); all[frames % 45].dispatchEvent(new PointerEvent('pointerenter')); busy += performance.now() - a;
        if (++frames < 90) requestAnimationFrame(frame); else { dispatchEvent(new PointerEvent('pointerup')); done([frames / (performance.now() - t0) * 1000, busy / frames]); } }; requestAnimationFrame(frame)""")
    # The share of a frame that the page itself takes is what the page can answer for; a busy machine draws fewer frames.
    result(rate[1] < 16.7, f"dragging over 45 workers: {rate[0]:.0f} frames a second, {rate[1]:.1f} ms of work in each")

    wide = []
    for width in (360, 1600):
        for theme in ("light", "dark"):
            browser.media(prefers_color_scheme=theme, prefers_reduced_motion="reduce" if theme == "dark" else "no-preference")
            browser.size(width, 1000)
            for scene, values in (("deal", {"n": 15, "s": 2, "code": "prime", "at": 4}), ("vote", {"lies": "200005000060000"}), ("curve", {"off": "0_0_0_9_0"}),
                                  ("cyclic", {"lies": "010020000000400"}), ("cyclic", {"n": 45, "s": 5, "code": "complex", "lies": "0111"}), ("train", {"attack": "reverse"})):
                go(scene, **values)
                if scene == "train":
                    press("To the end")
                if browser.run("return document.documentElement.scrollWidth") > width:
                    wide.append((scene, width))
                if not os.environ.get("DRACO_NO_SHOTS"):
                    browser.screenshot(shots / f"{scene}{'-complex' if 'code' in values and scene == 'cyclic' else ''}-{width}-{theme}.png")
    result(not wide, f"nothing is wider than the window at 360 and 1600 pixels {wide or ''}")
    browser.run("document.getElementById('speaker').click()")
    go("vote", lies="2")
    result(browser.run("return getComputedStyle(document.documentElement).fontSize") == "22px" and browser.run("return document.documentElement.scrollWidth") <= 1600, "large type for a lecture")
    browser.screenshot(shots / "large.png")
    result(browser.run("return [...document.querySelectorAll('button, input, select, a, [tabindex=\"0\"]')].every(e => e.disabled || e.tabIndex >= 0)"), "everything can be reached by the keyboard")
    # Hostile addresses: nothing breaks, values are brought into range.
    for h in ("#vote?n=99999999&s=-5&lies=999zzz", "#cyclic?n=NaN&code=%3Cscript%3E", "#nowhere?x=1", "#train?attack=../../x&n=1e9", "#curve?off=a_b_1e999"):
        browser.run("location.hash = arguments[0]", h)
        browser.run_async("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))")
    errors = browser.errors()
    result(not errors, f"no error on the console {errors[:2] or ''}")
    print(f"# {time.time() - begin:.0f} s; screenshots in {shots.name}/")
    print(f"1..{number}")
finally:
    browser.close()
