"""A browser driven through chromedriver's WebDriver protocol, with the standard library alone."""
import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request


class Browser:
    def __init__(self, width=1600, height=1000, dark=False):
        self.profile = tempfile.mkdtemp(prefix="draco-browser-")
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = None
        while self.port is None:  # "ChromeDriver was started successfully on port N."
            line = self.driver.stdout.readline()
            if not line:
                raise RuntimeError("chromedriver did not start")
            if "successfully on port" in line:
                self.port = int(line.rstrip(".\n").split()[-1])
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                   "--disable-component-update", "--disable-sync", "--hide-scrollbars", f"--user-data-dir={self.profile}", f"--window-size={width},{height}"]
        if dark:
            options.append("--blink-settings=preferredColorScheme=0")
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": options}, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.base = "/session/" + session["sessionId"]

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def open(self, url):
        self.call("POST", self.base + "/url", {"url": url})

    def run(self, script, *args):
        return self.call("POST", self.base + "/execute/sync", {"script": script, "args": list(args)})

    def run_async(self, script, *args):
        return self.call("POST", self.base + "/execute/async", {"script": script, "args": list(args)})

    def wait(self, script, seconds=20):
        end = time.time() + seconds
        while time.time() < end:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.05)
        raise RuntimeError("waited in vain for: " + script)

    def size(self, width, height):
        """The page's own size, whatever the window's least width is."""
        self.call("POST", self.base + "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}})

    def media(self, **features):
        self.call("POST", self.base + "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {
            "features": [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]}})

    def keys(self, *keys):
        actions = [a for k in keys for a in ({"type": "keyDown", "value": k}, {"type": "keyUp", "value": k})]
        self.call("POST", self.base + "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def drag(self, points):
        """Presses at the first point (CSS pixels of the window), moves through the others, lets go."""
        move = [{"type": "pointerMove", "duration": 30, "x": int(x), "y": int(y)} for x, y in points]
        self.call("POST", self.base + "/actions", {"actions": [{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"},
                  "actions": [move[0], {"type": "pointerDown", "button": 0}] + move[1:] + [{"type": "pointerUp", "button": 0}]}]})

    def errors(self):
        return [e["message"] for e in self.call("POST", self.base + "/se/log", {"type": "browser"}) if e["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, path, whole=True):
        if whole:
            shot = self.call("POST", self.base + "/goog/cdp/execute", {"cmd": "Page.captureScreenshot", "params": {"captureBeyondViewport": True, "format": "png"}})["data"]
        else:
            shot = self.call("GET", self.base + "/screenshot")
        with open(path, "wb") as f:
            f.write(base64.b64decode(shot))

    def close(self):
        try:
            self.call("DELETE", self.base)
        finally:
            self.driver.kill()
            self.driver.wait()
            shutil.rmtree(self.profile, ignore_errors=True)
