"""Seeds, keys and Philox words, by hashlib and Python integers alone. Writes ../vectors/seed.json."""

import hashlib
import json
import pathlib
import struct
from fractions import Fraction

MASK = 0xFFFFFFFF


def sha(data):
    return hashlib.sha256(data).digest()


def head(leaves):
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha(b"\x01" + head(leaves[:half]) + head(leaves[half:]))


def seed_from_contents(contents):
    return head([sha(b"\x00" + content) for content in contents])


def seed_from_integer(n):
    return sha(b"tributary/seed-int/v1\x00" + str(n).encode())


def random_key(seed, strategy, content, tensor, stream):
    text = lambda s: struct.pack("<I", len(s.encode())) + s.encode()
    data = b"tributary/seed/v1\x00" + seed + text(strategy) + content + text(tensor) + struct.pack("<I", stream)
    return struct.unpack("<II", sha(data)[:8])


def philox(low, high, block):
    counter = [block & MASK, block >> 32, 0, 0]
    for _ in range(10):
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [(b >> 32) ^ counter[1] ^ low, b & MASK, (a >> 32) ^ counter[3] ^ high, a & MASK]
        low, high = (low + 0x9E3779B9) & MASK, (high + 0xBB67AE85) & MASK
    return counter


def word(low, high, element):
    return philox(low, high, element // 4)[element % 4]


roots = [sha(f"model {i}".encode()) for i in range(8)]
sets = [[], [0], [0, 1], [1, 0], [0, 0], [0, 0, 1], [0, 1, 2], [0, 1, 2, 3, 4], [7, 6, 5, 4, 3, 2, 1, 0]]
integers = [0, 1, 42, 2**31, 2**32, 2**53 - 1]
uses = [
    ("dare_ties", 0, "model.layers.0.mlp.up_proj.weight", 0),
    ("dare_ties", 0, "model.layers.0.mlp.up_proj.weight", 1),
    ("dare_ties", 1, "model.layers.0.mlp.up_proj.weight", 0),
    ("dare", 0, "ties", 4294967295),
    ("dare_linear", 3, "схема.重み.🙂", 2),
    ("della", 4, "", 0),
]
elements = [0, 1, 2, 3, 4, 5, 4095, 4096, 2**32 - 1, 2**32, 4 * 2**32 - 1, 4 * 2**32, 4 * 2**32 + 7, 2**53 - 8]

keys = []
for at, (strategy, content, tensor, stream) in enumerate(uses):
    seed = seed_from_contents([roots[i] for i in sets[at % len(sets)]]) if at % 2 else seed_from_integer(at)
    low, high = random_key(seed, strategy, roots[content], tensor, stream)
    keys.append({
        "seed": seed.hex(), "strategy": strategy, "content": roots[content].hex(), "tensor": tensor, "stream": stream,
        "low": low, "high": high, "words": [word(low, high, element) for element in elements],
    })



def mask(low, high, first, probability, length):
    below = round(Fraction(probability) * 2**32)  # half to even
    kept = "".join("1" if word(low, high, first + i) < below else "0" for i in range(length))
    return {"low": low, "high": high, "first": first, "probability": probability, "kept": kept}


masks = [
    mask(keys[0]["low"], keys[0]["high"], first, probability, length)
    for first, probability, length in [(0, 0.2, 200), (3, 0.5, 61), (2**34 - 5, 0.53, 40), (10**12 + 1, 0.9, 40), (0, 1e-9, 9)]
]

vectors = {
    "contents": [
        {"contents": [roots[i].hex() for i in chosen], "seed": seed_from_contents([roots[i] for i in chosen]).hex()}
        for chosen in sets
    ],
    "integers": [{"n": n, "seed": seed_from_integer(n).hex()} for n in integers],
    "elements": elements,
    "keys": keys,
    "masks": masks,
}
path = pathlib.Path(__file__).parent.parent / "vectors" / "seed.json"
path.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")
