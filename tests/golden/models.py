#!/usr/bin/python3
"""Golden gradients of the models: numpy in float64, written from the papers and the layouts in the headers' comments,
apart from the C code (also draws, crops and dropout: Philox is written out here).

    cd tests/golden && python3 models.py        writes mlp.txt lenet.txt resnet.txt resnet18.txt textcnn.txt

Format: 'score LOSS CORRECT', then for each tensor of the flat vector, in order,
'NAME SIZE SCALE OFFSET NORM DOT': parameter i is OFFSET + SCALE * number(10, i); NORM and DOT are the Euclidean norm of
the tensor's gradient, and its product with number(77, i)."""
import numpy as np

BLOCK = 4096


def number(stream, i):
    """In [-0.5, 0.5), 24 bits."""
    x = (np.asarray(i, np.uint64) * 2654435761 + stream * 40503 + 12345) & 0xFFFFFFFF
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(13)
    return (x >> np.uint64(8)).astype(np.float64) * 2.0**-24 - 0.5


def philox(key, stream, counter):
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    c = [counter & 0xFFFFFFFF, counter >> 32, stream & 0xFFFFFFFF, stream >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k1, p0 & 0xFFFFFFFF]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


SEED, STEP, FIRST = 5, 2, 3


def draw(count, size):
    words = [philox(SEED, STEP, FIRST + k) for k in range(count)]
    return np.array([((w[0] | w[1] << 32) * size) >> 64 for w in words])


def below(stream, i, limit):
    return np.floor((number(stream, i) + 0.5) * limit).astype(int)


def pixels(samples, side, channels):
    x = below(20, np.arange(samples * side * side * channels), 256).astype(np.float64)
    scale, shift = np.float32(0.01), np.float32(-1.25)
    return (np.float32(scale) * x.astype(np.float32) + shift).astype(np.float64).reshape(samples, side, side, channels)


class Vector:
    """Tensors one after the other in the flat vector, and their gradients."""

    def __init__(self):
        self.tensors, self.size = [], 0

    def add(self, name, shape, scale, offset=0.0):
        size = int(np.prod(shape))
        value = np.float32(offset) + np.float32(scale) * number(10, np.arange(self.size, self.size + size)).astype(np.float32)
        tensor = dict(name=name, size=size, scale=scale, offset=offset, at=self.size,
                      value=value.astype(np.float64).reshape(shape), grad=np.zeros(shape))
        self.tensors.append(tensor)
        self.size += size
        return tensor

    def write(self, path, loss, correct, statistics=()):
        with open(path, 'w') as f:
            f.write('score %.9g %d\n' % (loss, correct))
            for t in self.tensors:
                self.line(f, t['name'], t['at'], t['grad'], t['scale'], t['offset'])
            at = (self.size + BLOCK - 1) // BLOCK * BLOCK
            self.line(f, 'padding', self.size, np.zeros(at - self.size), 0, 0)
            self.line(f, 'scores', at, np.array([loss, correct]), 0, 0)
            at += 2
            for name, value in statistics:
                self.line(f, name, at, value, 0, 0)
                at += value.size

    @staticmethod
    def line(f, name, at, grad, scale, offset):
        g = grad.reshape(-1)
        dot = g @ number(77, np.arange(at, at + g.size))
        f.write('%s %d %.9g %.9g %.9g %.9g\n' % (name, g.size, scale, offset, np.linalg.norm(g), dot))


def softmax(z, labels):
    e = np.exp(z - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(len(labels)), labels]).sum()
    correct = int((z.argmax(1) == labels).sum())
    p[np.arange(len(labels)), labels] -= 1
    return loss, correct, p


def fc(x, w, b):
    return x @ w['value'] + b['value']


def fc_back(x, w, b, dy):
    w['grad'] += x.T @ dy
    b['grad'] += dy.sum(0)
    return dy @ w['value'].T


def patches(x, k, stride, pad):
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    v = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))[:, ::stride, ::stride]
    return v.transpose(0, 1, 2, 4, 5, 3)  # n y x kh kw c


def conv(x, w, stride, pad):
    p = patches(x, w.shape[0], stride, pad)
    return np.tensordot(p, w, 3)


def conv_back(x, w, stride, pad, dy):
    k = w.shape[0]
    dw = np.tensordot(patches(x, k, stride, pad), dy, ((0, 1, 2), (0, 1, 2)))
    dx = np.zeros((x.shape[0], x.shape[1] + 2 * pad, x.shape[2] + 2 * pad, x.shape[3]))
    h, v = dy.shape[1], dy.shape[2]
    for a in range(k):
        for b in range(k):
            dx[:, a:a + stride * h:stride, b:b + stride * v:stride] += dy @ w[a, b].T
    return dw, dx[:, pad:pad + x.shape[1], pad:pad + x.shape[2]]


def mlp():
    v, widths = Vector(), [12, 7, 5, 4]
    layers = [(v.add('w%d' % i, (a, b), 1.0), v.add('b%d' % i, (b,), 1.0))
              for i, (a, b) in enumerate(zip(widths, widths[1:]))]
    samples = draw(70, 50)
    x = 2 * number(20, np.arange(50 * 12)).reshape(50, 12)[samples]
    labels = below(21, np.arange(50), 4)[samples]
    acts = [x]
    for i, (w, b) in enumerate(layers):
        y = fc(acts[-1], w, b)
        acts.append(np.maximum(y, 0) if i < 2 else y)
    loss, correct, d = softmax(acts[-1], labels)
    for i in (2, 1, 0):
        d = fc_back(acts[i], *layers[i], d)
        if i:
            d = d * (acts[i] > 0)
    v.write('mlp.txt', loss, correct)


def pool(x):
    n, h, w, c = x.shape
    four = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, c, 4)
    return four.max(-1), four.argmax(-1)


def unpool(best, dy):
    n, h, w, c = dy.shape
    four = np.zeros(dy.shape + (4,))
    np.put_along_axis(four, best[..., None], dy[..., None], -1)
    return four.reshape(n, h, w, c, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(n, 2 * h, 2 * w, c)


def lenet():
    v = Vector()
    c1, b1 = v.add('c1', (5, 5, 1, 20), 0.4), v.add('cb1', (20,), 0.2)
    c2, b2 = v.add('c2', (5, 5, 20, 50), 0.15), v.add('cb2', (50,), 0.2)
    w1, e1 = v.add('w1', (800, 500), 0.1), v.add('b1', (500,), 0.2)
    w2, e2 = v.add('w2', (500, 10), 0.1), v.add('b2', (10,), 0.2)
    samples = draw(37, 40)
    x, labels = pixels(40, 28, 1)[samples], below(21, np.arange(40), 10)[samples]
    z1 = conv(x, c1['value'], 1, 0) + b1['value']
    p1, m1 = pool(z1)
    a1 = np.maximum(p1, 0)
    z2 = conv(a1, c2['value'], 1, 0) + b2['value']
    p2, m2 = pool(z2)
    a2 = np.maximum(p2, 0).reshape(len(x), -1)
    h = np.maximum(fc(a2, w1, e1), 0)
    loss, correct, d = softmax(fc(h, w2, e2), labels)
    d = fc_back(h, w2, e2, d) * (h > 0)
    d = (fc_back(a2, w1, e1, d) * (a2 > 0)).reshape(p2.shape)
    d = unpool(m2, d)
    b2['grad'] += d.sum((0, 1, 2))
    dw, d = conv_back(a1, c2['value'], 1, 0, d)
    c2['grad'] += dw
    d = unpool(m1, d * (a1 > 0))
    b1['grad'] += d.sum((0, 1, 2))
    c1['grad'] += conv_back(x, c1['value'], 1, 0, d)[0]
    v.write('lenet.txt', loss, correct)


class Unit:
    """Convolution, batch norm."""

    def __init__(self, v, name, ci, co, k, stride):
        self.w = v.add(name + '.w', (k, k, ci, co), 2 * (3.0 / (k * k * ci))**0.5)
        self.scale = v.add(name + '.scale', (co,), 0.5, 1.0)
        self.shift = v.add(name + '.shift', (co,), 0.5)
        self.stride, self.pad, self.name = stride, k // 2, name

    def forward(self, x):
        self.x = x
        z = conv(x, self.w['value'], self.stride, self.pad)
        self.mean, self.var = z.mean((0, 1, 2)), z.var((0, 1, 2))
        self.dev = np.sqrt(self.var + 1e-5)
        self.n = (z - self.mean) / self.dev
        return self.n * self.scale['value'] + self.shift['value']

    def backward(self, dy):
        self.scale['grad'] += (dy * self.n).sum((0, 1, 2))
        self.shift['grad'] += dy.sum((0, 1, 2))
        dn = dy * self.scale['value']
        dz = (dn - dn.mean((0, 1, 2)) - self.n * (dn * self.n).mean((0, 1, 2))) / self.dev
        dw, dx = conv_back(self.x, self.w['value'], self.stride, self.pad, dz)
        self.w['grad'] += dw
        return dx


def augment(image, place):
    dy, dx, mirror = (w % m for w, m in zip(philox(SEED ^ 0x63726F70, STEP, FIRST + place), (9, 9, 2)))
    side = image.shape[0]
    window = np.pad(image, ((4, 4), (4, 4), (0, 0)))[dy:dy + side, dx:dx + side]
    return window[:, ::-1] if mirror else window


def resnet(path, side, width, stages, blocks, count, size):
    v = Vector()
    stem = Unit(v, 'stem', 3, width, 3, 1)
    net, ci = [], width
    for stage in range(stages):
        for i in range(blocks):
            co, stride = width << stage, 2 if stage and not i else 1
            name = 's%db%d' % (stage, i)
            first, second = Unit(v, name + '.first', ci, co, 3, stride), Unit(v, name + '.second', co, co, 3, 1)
            net.append((first, second, Unit(v, name + '.short', ci, co, 1, 2) if stride == 2 else None))
            ci = co
    w, b = v.add('w', (ci, 10), 2 * (3.0 / ci)**0.5), v.add('b', (10,), 0.5)
    samples = draw(count, size)
    labels = below(21, np.arange(size), 10)[samples]
    x = np.stack([augment(image, k) for k, image in enumerate(pixels(size, side, 3)[samples])])
    y = [np.maximum(stem.forward(x), 0)]
    for first, second, short in net:
        first.y = np.maximum(first.forward(y[-1]), 0)
        aside = short.forward(y[-1]) if short else y[-1]
        y.append(np.maximum(second.forward(first.y) + aside, 0))
    pooled = y[-1].mean((1, 2))
    loss, correct, d = softmax(fc(pooled, w, b), labels)
    d = np.broadcast_to(fc_back(pooled, w, b, d)[:, None, None] / (y[-1].shape[1]**2), y[-1].shape)
    for (first, second, short), out in zip(net[::-1], y[:0:-1]):
        d = d * (out > 0)
        inner = first.backward(second.backward(d) * (first.y > 0))
        d = inner + (short.backward(d) if short else d)
    stem.backward(d * (y[0] > 0))
    units = [stem] + [u for block in net for u in block if u]
    statistics = []
    for u in units:
        statistics += [(u.name + '.mean', count * u.mean), (u.name + '.var', count * u.var)]
    v.write(path, loss, correct, statistics)


def textcnn():
    V, D, F = 30, 6, 4
    v = Vector()
    words = v.add('words', (V, D), 2.0)
    banks = [(h, v.add('w%d' % h, (h, D, F), 1.0), v.add('b%d' % h, (F,), 0.5)) for h in (3, 4, 5)]
    w, b = v.add('w', (3 * F, 2), 2.0), v.add('b', (2,), 0.5)
    lengths = 1 + below(22, np.arange(25), 9)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    text = 1 + below(23, np.arange(starts[-1]), V - 1)
    samples = draw(40, 25)
    labels = below(21, np.arange(25), 2)[samples]
    loss = correct = 0
    for k, (s, label) in enumerate(zip(samples, labels)):
        ids = text[starts[s]:starts[s + 1]]
        features, back = [], []
        for h, filters, bias in banks:
            x = np.zeros((len(ids) + 2 * (h - 1), D))
            x[h - 1:h - 1 + len(ids)] = words['value'][ids]
            windows = np.stack([x[t:t + h] for t in range(len(ids) + h - 1)])
            y = np.tensordot(windows, filters['value'], 2)
            best = y.argmax(0)
            features.append(np.maximum(y.max(0) + bias['value'], 0))
            back.append((windows, best, features[-1] > 0))
        blocks = 3 * F // 4
        bits = [philox(SEED ^ 0x64726F70, STEP, (FIRST + k) * blocks + i) for i in range(blocks)]
        kept = (np.array(bits).reshape(-1) >= 2**31).astype(float)
        f = (np.concatenate(features) * kept)[None]
        l, c, d = softmax(fc(f, w, b), np.array([label]))
        loss, correct = loss + l, correct + c
        df = (fc_back(f, w, b, d)[0] * kept).reshape(3, F)
        for (h, filters, bias), (windows, best, on), delta in zip(banks, back, df):
            delta = delta * on
            bias['grad'] += delta
            for j in range(F):
                filters['grad'][:, :, j] += delta[j] * windows[best[j]]
                for i in range(h):
                    at = best[j] + i - (h - 1)
                    if 0 <= at < len(ids):
                        words['grad'][ids[at]] += delta[j] * filters['value'][i, :, j]
    v.write('textcnn.txt', loss, correct)


if __name__ == '__main__':
    mlp()
    lenet()
    resnet('resnet.txt', 8, 16, 2, 1, 7, 20)
    resnet('resnet18.txt', 32, 64, 4, 2, 4, 20)
    textcnn()
