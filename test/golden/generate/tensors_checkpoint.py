"""A small checkpoint written by the real safetensors library, and its identity computed here, from the words of the SPEC.

    pip install numpy ml_dtypes safetensors && python test/golden/generate/tensors_checkpoint.py
"""
import base64
import hashlib
import json
import pathlib
import struct

import ml_dtypes
import numpy as np
from safetensors.numpy import save

OUT = pathlib.Path(__file__).parent.parent / "vectors" / "tensors_checkpoint.json"
CHUNK = 1 << 20
NAMES = {"float32": "F32", "bfloat16": "BF16", "int64": "I64", "bool": "BOOL"}


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def tree_head(leaves):
    """RFC 9162, section 2.1.1, over leaf hashes."""
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\x01", tree_head(leaves[:k]), tree_head(leaves[k:]))


def canonical(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def tensor_root(data):
    return tree_head([sha(b"\x00", data[i : i + CHUNK]) for i in range(0, len(data), CHUNK)]).hex()


def describe(name, dtype, shape, data):
    return {"name": name, "dtype": NAMES[dtype], "shape": list(shape), "bytes": len(data), "root": tensor_root(data)}


def content_root(tensors):
    leaves = [
        sha(b"\x00", b"tributary/tensor/v1\x00", canonical({k: t[k] for k in ("name", "dtype", "shape", "root")}))
        for t in sorted(tensors, key=lambda t: t["name"].encode())
    ]
    return tree_head(leaves).hex()


def pattern(size):
    """Bytes that any language can make again: byte i is (i * 31 + i div 251) mod 256."""
    return bytes((i * 31 + i // 251) % 256 for i in range(size))


def main():
    rng = np.random.default_rng(7)
    raw = {
        "model.embed_tokens.weight": ("float32", (4, 3), rng.standard_normal(12).astype("<f4").tobytes()),
        "model.norm.weight": ("bfloat16", (3,), bytes.fromhex("803f003f80bf")),
        "model.position_ids": ("int64", (1, 2), struct.pack("<qq", 0, 1)),
        "model.mask": ("bool", (3,), b"\x01\x00\x01"),
        "model.empty": ("float32", (0, 3), b""),
        "\U0001f30a": ("float32", (), struct.pack("<f", 0.5)),
        "\ufb01": ("float32", (1,), struct.pack("<f", 2)),
    }
    kinds = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "int64": np.int64, "bool": np.bool_}
    arrays = {n: np.frombuffer(b, dtype=kinds[d]).reshape(s) for n, (d, s, b) in raw.items()}
    file = save(arrays, {"format": "pt"})
    stored = file[8 : 8 + struct.unpack("<Q", file[:8])[0]]
    header = json.loads(stored)
    header.pop("__metadata__")
    tensors = sorted((describe(n, d, s, b) for n, (d, s, b) in raw.items()), key=lambda t: t["name"].encode())
    config = b'{"architectures":["Tiny"]}\n'
    # empty tensors stand where the next one begins, and before it
    order = sorted(header, key=lambda n: (*header[n]["data_offsets"], n.encode()))
    manifest = {
        "v": 1,
        "content": content_root(tensors),
        "tensors": tensors,
        "files": [{"path": "config.json", "bytes": len(config), "sha256": sha(config).hex()}],
        "layout": [{"path": "model.safetensors", "header": sha(stored).hex(), "order": order}],
    }
    document = {
        "file": base64.b64encode(file).decode(),
        "config": config.decode(),
        "manifest": canonical(manifest).decode(),
        "content": manifest["content"],
        "model": sha(b"tributary/model/v1\x00", canonical(manifest)).hex(),
        "roots": {size: tensor_root(pattern(size)) for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5)},
    }
    OUT.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


main()
