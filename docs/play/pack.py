#!/usr/bin/env python3
"""Puts the page, its style, its scripts and the module into one file: pack.py play.wasm play.html"""
import base64
import pathlib
import re
import sys

here = pathlib.Path(__file__).parent
module = base64.b64encode(pathlib.Path(sys.argv[1]).read_bytes()).decode()
page = (here / "index.html").read_text()
page = page.replace('<link rel="stylesheet" href="style.css">', "<style>\n" + (here / "style.css").read_text() + "</style>")
first = f'<script>\nconst PLAY_MODULE = "{module}";\n</script>\n'
page = page.replace('<script src="engine.js">', first + '<script src="engine.js">')
page = re.sub(r'<script src="(\w+\.js)"></script>', lambda m: "<script>\n" + (here / m[1]).read_text() + "</script>", page)
pathlib.Path(sys.argv[2]).write_text(page)
