"""Encode and decode with the shared library, one worker lying: ctypes_decode.py LIBRARY"""
import ctypes
import sys

draco = ctypes.CDLL(sys.argv[1])
REPETITION, CYCLIC = 0, 1
COMPLEX = 1


class Code(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in "n s t scheme field support r groups parts scale reactive".split()] + [
        (name, ctypes.c_uint64) for name in "seed seating budget share".split()
    ]


code_p, size_t = ctypes.POINTER(Code), ctypes.c_size_t
for name, result, arguments in (
    ("draco_message_bytes", size_t, [code_p, size_t]),
    ("draco_decode_work_bytes", size_t, [code_p]),
    ("draco_encoding_bytes", size_t, [code_p, size_t]),
    ("draco_encode_init", ctypes.c_int, [code_p, size_t, ctypes.c_void_p]),
    ("draco_encode_end", ctypes.c_int, [code_p, size_t] + 2 * [ctypes.c_void_p]),
    ("draco_encode_begin", ctypes.c_int, [code_p, size_t, ctypes.c_void_p]),
    ("draco_encode_add", ctypes.c_int, [code_p, ctypes.c_int, ctypes.c_int] + [ctypes.c_void_p, size_t] + 2 * [ctypes.c_void_p]),
    ("draco_decode", ctypes.c_int, [code_p] + 2 * [ctypes.c_void_p] + [size_t] + 5 * [ctypes.c_void_p]),
    ("draco_status_text", ctypes.c_char_p, [ctypes.c_int]),
    ("draco_verdict_text", ctypes.c_char_p, [ctypes.c_int]),
):
    function = getattr(draco, name)
    function.restype, function.argtypes = result, arguments


def checked(status):
    assert status >= 0, draco.draco_status_text(status).decode()


def decode(scheme, d=7, n=5, liar=3):
    code = Code(n=n, s=1, scheme=scheme, field=COMPLEX)
    checked(draco.draco_code_init(ctypes.byref(code)))
    messages = []
    encoding = ctypes.create_string_buffer(draco.draco_encoding_bytes(code, d))
    checked(draco.draco_encode_init(code, d, encoding))
    for worker in range(n):
        message = ctypes.create_string_buffer(draco.draco_message_bytes(code, d))
        checked(draco.draco_encode_begin(code, d, encoding))
        for l in range(draco.draco_code_load(ctypes.byref(code), worker)):
            part = draco.draco_code_part(ctypes.byref(code), worker, l)
            gradient = (ctypes.c_float * d)(*[part + c for c in range(d)])
            checked(draco.draco_encode_add(code, worker, part, gradient, d, None, encoding))
        checked(draco.draco_encode_end(code, d, encoding, message))
        messages.append(message)
    messages[liar][5] = (messages[liar][5][0] ^ 64).to_bytes(1, "little")
    rows = (ctypes.c_void_p * n)(*[ctypes.addressof(message) for message in messages])
    seed, report = ctypes.create_string_buffer(64), ctypes.create_string_buffer(512)
    checked(draco.draco_seed_random(seed))
    work = ctypes.create_string_buffer(draco.draco_decode_work_bytes(code))
    total, verdicts = (ctypes.c_float * d)(), (ctypes.c_int * n)()
    checked(draco.draco_decode(code, seed, rows, d, None, work, total, verdicts, report))
    expected = [sum(part + c for part in range(code.parts)) for c in range(d)]
    assert all(abs(a - b) < 1e-3 for a, b in zip(total, expected)), (list(total), expected)
    words = [draco.draco_verdict_text(v).decode() for v in verdicts]
    assert words[liar] != words[0] and len(set(words)) == 2 and words.count(words[liar]) == 1, words
    return words[liar]


print("worker 3 %s (repetition), %s (cyclic)" % (decode(REPETITION), decode(CYCLIC)))
