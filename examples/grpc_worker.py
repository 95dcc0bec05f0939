#!/usr/bin/python3
"""A worker in another language: softmax regression in numpy, written from transports/draco.proto alone.

It joins a server that runs the repetition code over the model "softmax", answers every request with the summed gradient
of its group's share of the batch, and leaves when the server says stop. It takes part in a challenge as well, whose vote is
exact. Because numpy rounds otherwise than the C library, workers of both kinds in one group need a vote with a tolerance
(draco_server_config.abs_tol and rel_tol, draco-train --tolerance).

    grpc_worker.py --address 127.0.0.1:7400 --index 2 --images train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz

Needs python3-grpcio, python3-grpc-tools (for the stubs, made when it starts) and python3-numpy.
"""
import argparse
import gzip
import importlib
import os
import queue
import random
import sys
import tempfile
import threading
import time

import grpc
import numpy as np

VERSION = 4   # of the contract
BLOCK = 4096  # statistics stand at the next multiple of it after the parameters


def stubs():
    """The Python modules that protoc makes of draco.proto."""
    from grpc_tools import protoc
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "transports")
    with tempfile.TemporaryDirectory() as out:
        if protoc.main(["protoc", "-I" + here, "--python_out=" + out, "--grpc_python_out=" + out, "draco.proto"]):
            sys.exit("protoc failed")
        sys.path.insert(0, out)
        return importlib.import_module("draco_pb2"), importlib.import_module("draco_pb2_grpc")


# ---- What the worker computes -------------------------------------------------------------------------------------

def philox(key, stream, counters):
    """Philox 4x32-10 at many counters: the first two 32-bit words of each."""
    mask = np.uint64(0xFFFFFFFF)
    c0, c1 = counters & mask, counters >> np.uint64(32)
    c2 = np.full_like(counters, stream & 0xFFFFFFFF)
    c3 = np.full_like(counters, stream >> 32)
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = ((p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), p1 & mask,
                          (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1), p0 & mask)
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1


def draw(seed, step, first, count, size):
    """Which samples stand at places first … first + count - 1 of the batch of this step: uniform in [0, size)."""
    w0, w1 = philox(seed, step, np.arange(first, first + count, dtype=np.uint64))
    n, half = np.uint64(size), np.uint64(32)
    return ((w1 * n + ((w0 * n) >> half)) >> half).astype(np.int64)


def share(batch, parts, part):
    """The places of the batch that one part holds: equal to within one sample."""
    each, extra = divmod(batch, parts)
    return part * each + min(part, extra), each + (part < extra)


def read_idx(name):
    with (gzip.open if name.endswith(".gz") else open)(name, "rb") as file:
        data = file.read()
    dims = data[3]
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(dims)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dims).reshape(shape)


# ---- The fingerprint of a message, as draco_vote.h defines it ------------------------------------------------------

P = (1 << 61) - 1
WORDS = 256  # of 32 bits in a block


def chacha20(key, blocks):
    """The first so many blocks of the key's stream, nonce 0 (RFC 8439)."""
    x = np.zeros((16, blocks), np.uint32)
    x[:4] = np.array([0x61707865, 0x3320646E, 0x79622D32, 0x6B206574], np.uint32)[:, None]
    x[4:12] = np.frombuffer(key, "<u4")[:, None]
    x[12] = np.arange(blocks)
    start = x.copy()

    def turn(a, b, c, d):
        for to, other, mixed, left in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[to] += x[other]
            x[mixed] ^= x[to]
            x[mixed] = x[mixed] << np.uint32(left) | x[mixed] >> np.uint32(32 - left)

    for _ in range(10):
        for i in range(4):
            turn(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            turn(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return (x + start).T.astype("<u4").tobytes()


def fingerprint(key, message):
    stream = chacha20(key, 33)
    points = [int.from_bytes(stream[2048 + 8 * i:2056 + 8 * i], "little") >> 3 for i in range(4)]
    words = np.zeros(-(-len(message) // 1024) * WORDS, np.uint32)
    words[:-(-len(message) // 4)] = np.frombuffer(message + bytes(-len(message) % 4), "<u4")
    pairs = (len(message) - 1) % 1024 // 8 + 1  # in the last block
    out = b""
    for j in range(2):
        nh = np.frombuffer(stream, "<u4", WORDS, 4 * WORDS * j)
        sums = (words.reshape(-1, WORDS) + nh).astype(np.uint64)
        products = sums[:, 0::2] * sums[:, 1::2]
        if len(products):
            products[-1, pairs:] = 0
        fold, point, power, value = points[j] % P, points[2 + j] % P, 1, len(message)
        for h in products.sum(axis=1, dtype=np.uint64):
            power = power * point % P
            value += ((int(h) >> 32) * fold + (int(h) & 0xFFFFFFFF)) % P * power
        out += (value % P).to_bytes(8, "little")
    return out


class Softmax:
    """Weights [features][classes], bias [classes], zeros to a multiple of BLOCK, then the sums of losses and hits."""

    def __init__(self, images, labels):
        pixels = images.reshape(len(images), -1)
        mean, deviation = float(pixels.mean(dtype=np.float64)), float(pixels.std(dtype=np.float64))
        self.scale, self.shift = np.float32(1 / deviation), np.float32(-mean / deviation)
        self.pixels, self.labels = pixels, labels.astype(np.int64)
        self.features, self.classes = pixels.shape[1], int(labels.max()) + 1
        self.parameters = (self.features + 1) * self.classes
        self.dim = -(-self.parameters // BLOCK) * BLOCK + 2

    def gradient(self, params, samples):
        """The sum over the samples, not the mean."""
        weights = params[:self.features * self.classes].reshape(self.features, self.classes)
        bias = params[self.features * self.classes:self.parameters]
        x = self.pixels[samples].astype(np.float32) * self.scale + self.shift
        labels = self.labels[samples]
        z = (x @ weights + bias).astype(np.float64)
        top = z.max(axis=1, keepdims=True)
        e = np.exp(z - top)
        total = e.sum(axis=1, keepdims=True)
        rows = np.arange(len(samples))
        dz = e / total
        dz[rows, labels] -= 1
        out = np.zeros(self.dim, np.float32)
        out[:self.features * self.classes] = (x.T @ dz.astype(np.float32)).ravel()
        out[self.features * self.classes:self.parameters] = dz.sum(axis=0)
        out[-2] = (np.log(total) + top - z[rows, labels][:, None]).sum()
        out[-1] = (z.argmax(axis=1) == labels).sum()
        return out


class Run:
    """What the server told in its WELCOME."""

    def __init__(self, text):
        words = dict(word.split("=", 1) for word in text.split() if "=" in word)
        if words.get("code", "repetition") != "repetition" or words.get("model", "softmax") != "softmax":
            sys.exit("this worker knows the repetition code and softmax regression only: " + text)
        n, s, t = int(words.get("workers", words.get("n"))), int(words["s"]), int(words.get("t", 0))
        self.n, self.reactive = n, words.get("redundancy") == "reactive"
        self.groups = n // ((s if self.reactive else 2 * s) + t + 1)
        self.batch, self.seed = int(words["batch"]), int(words["seed"])

    def task(self, worker, plan):
        """How many parts the batch has, and which one is this worker's; a reactive run says so in its plan."""
        if not self.reactive:
            return self.groups, worker % self.groups
        plan = np.frombuffer(plan, "<u2", self.n + 1)
        return int(plan[0]), int(plan[worker + 1])

    def answer(self, model, parts, part, step, params):
        first, count = share(self.batch, parts, part)
        return model.gradient(params, draw(self.seed, step, first, count, len(model.labels)))


# ---- The stream ---------------------------------------------------------------------------------------------------

class Worker:
    def __init__(self, pb, options, model):
        self.pb, self.options, self.model = pb, options, model
        self.run = self.code = self.chunk = None
        self.params = None
        self.kept = {}  # messages of this step by part
        self.rounds = 0

    def frame(self, kind, **fields):
        return self.pb.Frame(kind=kind, worker=self.options.index, version=VERSION, code=self.code or 0, **fields)

    def reply(self, request, body):
        for offset in range(0, max(len(body), 1), self.chunk):
            yield self.frame(self.pb.REPLY, round=request.round, step=request.step, ask=request.ask, offset=offset,
                             total=len(body), payload=body[offset:offset + self.chunk])

    def answer(self, request, payload):
        if request.params:
            self.params = np.frombuffer(payload, "<f4", request.params)
        asks = (self.pb.MESSAGE, self.pb.READY, self.pb.BODY, self.pb.FINGERPRINT)
        if request.ask not in asks or self.params is None or len(self.params) != self.model.dim:
            return b""  # "I cannot answer that": empty where bytes were asked for
        extra = payload[4 * request.params:]
        if request.ask in asks[:2]:
            self.kept = {}
            self.rounds += 1
        parts, part = self.run.task(self.options.index, extra[32 if request.ask == self.pb.FINGERPRINT else 0:])
        if part not in self.kept and part < parts:
            out = self.run.answer(self.model, parts, part, request.step, self.params)
            if self.options.lie:
                out = np.float32(self.options.lie) * out
            self.kept[part] = out.astype("<f4").tobytes()
        if request.ask == self.pb.READY:
            return b"\1"
        if request.ask == self.pb.FINGERPRINT:
            return fingerprint(extra[:32], self.kept[part])
        return self.kept[part]

    def serve(self, stub, seconds):
        """One connection. True when the server said stop. The call is cancelled when no WELCOME comes in time."""
        outgoing = queue.Queue()
        outgoing.put(self.frame(self.pb.HELLO))
        call = stub.Train(iter(outgoing.get, None))
        limit = threading.Timer(seconds, call.cancel)
        limit.daemon = True
        limit.start()
        try:
            return self.listen(call, outgoing, limit)
        finally:
            limit.cancel()
            outgoing.put(None)  # ends the thread that reads the queue

    def listen(self, call, outgoing, limit):
        got, current = bytearray(), None
        for frame in call:
            if frame.version != VERSION:
                sys.exit("the server speaks another version of the contract")
            if frame.kind == self.pb.WELCOME:
                limit.cancel()
                self.code, self.chunk = frame.code, frame.chunk
                self.run = Run(frame.payload.decode())
            elif frame.kind == self.pb.REQUEST and frame.ask == self.pb.STOP:
                outgoing.put(None)
                return True
            elif frame.kind == self.pb.REQUEST:
                if frame.offset == 0:
                    got, current = bytearray(), frame.round
                if frame.round != current or frame.offset != len(got):
                    continue
                got += frame.payload
                if len(got) == frame.total:
                    for piece in self.reply(frame, self.answer(frame, bytes(got))):
                        outgoing.put(piece)
        return True  # the server ended the call in peace


def credentials(options):
    read = lambda name: open(name, "rb").read()
    return grpc.ssl_channel_credentials(read(options.ca), read(options.key), read(options.cert))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", required=True)
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--labels", required=True)
    parser.add_argument("--ca")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--lie", type=float, default=0, help="send so many times the gradient, to be caught")
    parser.add_argument("--give-up", type=float, default=120, help="seconds without a server, default 120")
    options = parser.parse_args()
    pb, pb_grpc = stubs()
    model = Softmax(read_idx(options.images), read_idx(options.labels))
    worker = Worker(pb, options, model)
    away, delay = time.monotonic(), 0.2
    while True:
        settings = (("grpc.enable_http_proxy", 0),)  # a proxy of the environment is not for the server
        channel = (grpc.secure_channel(options.address, credentials(options), settings) if options.ca
                   else grpc.insecure_channel(options.address, settings))
        try:
            left = max(0.1, options.give_up - (time.monotonic() - away))
            if worker.serve(pb_grpc.ParameterServerStub(channel), left):
                print("told to stop after %d answers" % worker.rounds)
                return 0
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT,
                                grpc.StatusCode.ABORTED, grpc.StatusCode.UNIMPLEMENTED):
                sys.exit("refused: " + error.details())
            if worker.run:
                away, delay, worker.run, worker.code = time.monotonic(), 0.2, None, None
            if time.monotonic() - away > options.give_up:
                sys.exit("gave up: no answer from %s for %g s (%s)" % (options.address, options.give_up, error.details()))
        finally:
            channel.close()
        time.sleep(delay * random.uniform(0.8, 1.2))
        delay = min(2, 1.6 * delay)


if __name__ == "__main__":
    sys.exit(main())
