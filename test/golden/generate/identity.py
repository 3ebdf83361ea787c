"""Golden values of identity, by Python's hashlib, json and decimal alone: none of this project's code is read.

    python3 test/golden/generate/identity.py > test/golden/vectors/identity.json
"""

import base64
import hashlib
import json
import random
import struct
from decimal import ROUND_HALF_UP, Context, Decimal

DOMAINS = (
    "op contribution model tensor recipe merge receipt about seed seed-int hello clock".split()
)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha(data):
    return hashlib.sha256(data).digest()


def head(leaves):
    """RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return sha(b"\0" + leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\1" + head(leaves[:k]) + head(leaves[k:]))


def path(m, leaves):
    """RFC 9162, 2.1.3.1, word for word."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return path(m, leaves[:k]) + [head(leaves[k:])]
    return path(m - k, leaves[k:]) + [head(leaves[:k])]


def spelled(x):
    """ECMAScript's Number::toString, from the shortest digits that Python's repr finds."""
    if x == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(x)).normalize().as_tuple()
    s, k = "".join(map(str, digits)), len(digits)
    n = k + exponent
    if k <= n <= 21:
        body = s + "0" * (n - k)
    elif 0 < n <= 21:
        body = s[:n] + "." + s[n:]
    elif -6 < n <= 0:
        body = "0." + "0" * -n + s
    else:
        e = n - 1
        body = s[0] + ("." + s[1:] if k > 1 else "") + "e" + ("+" if e > 0 else "-") + str(abs(e))
    return ("-" if sign else "") + body


def f32(bits):
    return struct.unpack(">f", struct.pack(">I", bits))[0]


def to_f32(x):
    try:
        return struct.unpack(">f", struct.pack(">f", x))[0]
    except OverflowError:
        return float("inf")


def weight(x):
    """The fewest significant digits, ties away from zero as toPrecision has them, that round back to this f32."""
    if x == 0:
        return "0"
    for p in range(1, 10):
        short = float(Context(prec=p, rounding=ROUND_HALF_UP).create_decimal(Decimal(x)))
        if to_f32(short) == x:
            return spelled(short)
    raise AssertionError(x)


def main():
    luck = random.Random(9162)
    values = [
        {},
        {"v": 1},
        {"b": 2, "a": 1, "a_b": 3, "a1": 4},
        {"text": 'quote " back \\ slash / tab \t line \n nul \x00 del \x7f'},
        {"text": "caf\u00e9 \u65e5\u672c \U0001f600 \u2028 \ufffd"},
        {"list": [True, False, 0, -1, 9007199254740991, -9007199254740991, "", [], {}]},
        {"deep": [[[[[[[[["bottom"]]]]]]]]]},
        ["a list", "as the whole"],
        {"name": "lm.weight", "dtype": "BF16", "shape": [4, 8], "root": "00" * 32},
        {"pairs": [["model.layers.0.*", "0.5"], ["Upper.Key", "1"]]},
    ]
    leaves = [luck.randbytes(i * 7 % 40) for i in range(21)]
    ids = [luck.randbytes(32) for _ in range(9)]
    doubles = [0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 100.0, 1e20, 1e21, 123456789012345680000.0, 1.5e300, 1e-6, 1e-7]
    doubles += [1.25e-7, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 4294967296.5, 9007199254740993.0]
    while len(doubles) < 200:
        x = struct.unpack(">d", luck.randbytes(8))[0]
        if x == x and abs(x) != float("inf"):
            doubles.append(x)
    singles = [0x00000000, 0x80000000, 0x3F800000, 0x3DCCCCCD, 0x3EAAAAAB, 0x00000001, 0x007FFFFF, 0x00800000]
    singles += [0x7F7FFFFF, 0xFF7FFFFF, 0x4A000001, 0x4A000003, 0x4B000001, 0x4B800000, 0x4F800000, 0x5D5E0B6B]
    singles += [0x33D6BF95, 0x358637BD, 0x3F7FFFFF, 0x4F000000, 0x60AD78EC, 0x62C00000]
    while len(singles) < 300:
        bits = luck.getrandbits(32)
        if bits & 0x7F800000 != 0x7F800000:
            singles.append(bits)

    out = {
        "canonical": [
            {"value": v, "base64url": base64.urlsafe_b64encode(canonical(v)).decode().rstrip("=")} for v in values
        ],
        "digests": [
            {
                "domain": d,
                "value": v,
                "id": sha(b"tributary/" + d.encode() + b"/v1\0" + canonical(v)).hex(),
            }
            for d in DOMAINS
            for v in values[:4]
        ],
        "trees": {
            "leaves": [leaf.hex() for leaf in leaves],
            "heads": [head(leaves[:n]).hex() for n in range(len(leaves) + 1)],
            "paths": [
                {"index": m, "size": n, "path": [h.hex() for h in path(m, leaves[:n])]}
                for n in (1, 2, 3, 5, 7, 8, 13, 21)
                for m in sorted({0, n // 2, n - 1})
            ],
        },
        "sets": [
            {"ids": [i.hex() for i in ids[:n]] * 2, "root": head(sorted(ids[:n])).hex()} for n in (0, 1, 2, 5, 9)
        ],
        "decimals": [{"f64": struct.pack(">d", x).hex(), "text": spelled(x)} for x in doubles],
        "weights": [{"f32": f"{bits:08x}", "text": weight(f32(bits))} for bits in singles],
    }
    print("{")
    parts = []
    for key, item in out.items():
        rows = item if isinstance(item, list) else None
        body = (
            "[\n    " + ",\n    ".join(json.dumps(row) for row in rows) + "\n  ]" if rows else json.dumps(item)
        )
        parts.append(f'  "{key}": {body}')
    print(",\n".join(parts))
    print("}")


main()
