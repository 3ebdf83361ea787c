"""Damaged and hostile safetensors files, one for each way in which a header can lie. Needs nothing but Python.

    python test/golden/generate/tensors_malformed.py

Each file breaks one rule and keeps all others; what must be answered is in test/malformed/safetensors.test.ts.
"""
import json
import pathlib
import struct

OUT = pathlib.Path(__file__).parent.parent.parent / "malformed" / "safetensors"


def file(header, data=b"", length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


GOOD = {"a": entry("F32", [2], 0, 8), "b": entry("BF16", [2, 2], 8, 16)}
RAW = json.dumps(GOOD, separators=(",", ":")).encode()
DATA = bytes(range(16))

FILES = {
    "01-header-length-beyond-limit": file(RAW, DATA, length=(16 << 20) + 1),
    "01-header-length-2-to-the-63": file(RAW, DATA, length=1 << 63),
    "01-header-length-beyond-file": file(RAW, b"", length=len(RAW) + 1),
    "01-header-length-zero": file(b"{}", b"", length=0),
    "01-file-of-five-bytes": b"\x05\x00\x00\x00\x00",
    "01-empty-file": b"",
    "02-leading-space": file(b" " + RAW, DATA),
    "02-trailing-newline": file(RAW + b"\n", DATA),
    "02-trailing-nul": file(RAW + b"\x00", DATA),
    "02-second-document": file(RAW + b"{}", DATA),
    "02-header-is-a-list": file(b"[]", b""),
    "02-comment": file(b'{/**/"a":' + json.dumps(entry("U8", [0], 0, 0)).encode() + b"}"),
    "03-not-utf-8": file(b'{"\xff":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "03-overlong-utf-8": file(b'{"\xc0\xaf":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "03-half-a-surrogate-pair": file(b'{"\\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "04-name-twice": file(RAW[:-1] + b',"a":' + json.dumps(entry("F32", [2], 16, 24)).encode() + b"}", DATA + bytes(8)),
    "04-name-twice-by-escape": file(RAW[:-1] + b',"\\u0061":' + json.dumps(entry("F32", [2], 16, 24)).encode() + b"}", DATA + bytes(8)),
    "04-field-twice": file(b'{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}', b"x"),
    "05-proto-as-name": file({"__proto__": entry("U8", [1], 0, 1)}, b"x"),
    "05-proto-as-field": file(b'{"a":{"__proto__":{"dtype":"U8"},"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"),
    "06-unknown-dtype": file({"a": entry("F128", [1], 0, 16)}, DATA),
    "06-lower-case-dtype": file({"a": entry("f32", [1], 0, 4)}, bytes(4)),
    "06-dtype-below-a-byte": file({"a": entry("F4", [2], 0, 1)}, b"x"),
    "06-dtype-e8m0": file({"a": entry("F8_E8M0", [1], 0, 1)}, b"x"),
    "07-product-overflows": file({"a": entry("U8", [4194305, 4194305, 211106198978564], 0, 4)}, bytes(4)),
    "07-nine-dimensions": file({"a": entry("U8", [1] * 9, 0, 1)}, b"x"),
    "07-negative-length": file({"a": entry("U8", [-1, -1], 0, 1)}, b"x"),
    "07-fraction": file(b'{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', b"x"),
    "07-exponent": file(b'{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}', b"x"),
    "07-beyond-2-to-the-53": file({"a": entry("U8", [0, 9007199254740993], 0, 0)}),
    "08-hole": file({"a": entry("F32", [2], 0, 8), "b": entry("BF16", [2, 2], 12, 20)}, bytes(20)),
    "08-overlap": file({"a": entry("F32", [2], 0, 8), "b": entry("BF16", [2, 2], 4, 12)}, bytes(12)),
    "08-does-not-begin-at-zero": file({"a": entry("F32", [2], 8, 16)}, DATA),
    "08-length-is-not-shape": file({"a": entry("F32", [2], 0, 12)}, bytes(12)),
    "08-end-before-begin": file({"a": entry("F32", [2], 8, 0)}, bytes(8)),
    "08-empty-inside-another": file({"a": entry("F32", [2], 0, 8), "b": entry("F32", [0], 4, 4)}, bytes(8)),
    "08-three-offsets": file(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}', b"x"),
    "08-truncated": file(RAW, DATA[:-2]),
    "08-trailing-bytes": file(RAW, DATA + b"\x00\x00\x00"),
    "09-name-too-long": file({"n" * 513: entry("U8", [1], 0, 1)}, b"x"),
    "09-name-not-nfc": file({"e\u0301": entry("U8", [1], 0, 1)}, b"x"),
    "09-name-with-control-character": file(b'{"a\\u001b[2J":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"),
    "09-name-climbs": file({"../../etc/passwd": entry("U8", [1], 0, 1)}, b"x"),
    "09-name-empty": file({"": entry("U8", [1], 0, 1)}, b"x"),
    "10-metadata-not-text": file({"__metadata__": {"format": {"a": "pt"}}, "a": entry("U8", [1], 0, 1)}, b"x"),
    "10-metadata-number": file({"__metadata__": {"step": 3}, "a": entry("U8", [1], 0, 1)}, b"x"),
    "10-metadata-a-list": file({"__metadata__": ["pt"], "a": entry("U8", [1], 0, 1)}, b"x"),
    "10-metadata-twice": file(b'{"__metadata__":{},"__metadata__":{}}'),
    "12-nan-inside": file({"a": entry("F16", [2, 3], 0, 12)}, struct.pack("<6e", 1, 2, 3, 4, float("nan"), float("-inf"))),
    "13-pytorch-zip": b"PK\x03\x04\x00\x00\x08\x08" + bytes(18) + struct.pack("<HH", 16, 0) + b"archive/data.pkl" + bytes(40),
    "13-pickle-protocol-2": b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
    "13-pickle-protocol-4": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.",
    "13-gguf": b"GGUF\x03\x00\x00\x00" + bytes(24),
    "13-git-lfs-pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4976698672\n",
    "13-web-page": b"<!DOCTYPE html><html><body>404</body></html>",
    "14-unaligned-data": file({"odd": entry("U8", [0], 0, 0), "a": entry("F32", [2], 0, 8), "b": entry("F64", [1], 8, 16)}, struct.pack("<ffd", 1.5, -2.0, 0.25)),
}

OUT.mkdir(parents=True, exist_ok=True)
for name, content in FILES.items():
    (OUT / f"{name}.safetensors").write_bytes(content)
assert (8 + struct.unpack("<Q", FILES["14-unaligned-data"][:8])[0]) % 4 != 0
