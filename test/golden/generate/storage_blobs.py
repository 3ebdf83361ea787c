"""Names of blobs, by Python's hashlib alone: byte i of a blob is (i * 7 + i // 251) mod 256.

    python3 test/golden/generate/storage_blobs.py > test/golden/vectors/storage_blobs.json
"""

import hashlib
import json

CHUNK = 1 << 20


def sha(data):
    return hashlib.sha256(data).digest()


def head(leaves):
    """RFC 9162, 2.1.1."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\x01" + head(leaves[:k]) + head(leaves[k:]))


rows = []
for length in [0, 1, 4096, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17]:
    data = bytes((i * 7 + i // 251) % 256 for i in range(length))
    leaves = [sha(b"\x00" + data[i : i + CHUNK]) for i in range(0, length, CHUNK)]
    rows.append({"bytes": length, "file": sha(data).hex(), "tensor": head(leaves).hex(), "leaves": b"".join(leaves).hex()})
print(json.dumps({"blobs": rows}, indent=1))
