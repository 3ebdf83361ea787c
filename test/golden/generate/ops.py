"""Golden ops: ids and signatures by Python's hashlib and json, and Ed25519 written out after RFC 8032.

    python3 test/golden/generate/ops.py > test/golden/vectors/ops.json
"""

import base64
import hashlib
import json

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    k = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + k, P - 2, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - k, P - 2, P) % P,
    )


def times(n, point):
    total = (0, 1)
    while n:
        if n & 1:
            total = add(total, point)
        point, n = add(point, point), n >> 1
    return total


def x_of(y):
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0
    return x if x % 2 == 0 else P - x


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (x_of(BASE_Y), BASE_Y)


def encode(point):
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def scalar(data):
    return int.from_bytes(hashlib.sha512(data).digest(), "little") % L


def secrets(seed):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little") & ((1 << 254) - 8) | (1 << 254)
    return a, h[32:]


def public(seed):
    return encode(times(secrets(seed)[0], BASE))


def sign(seed, message):
    a, prefix = secrets(seed)
    r = scalar(prefix + message)
    big_r = encode(times(r, BASE))
    s = (r + scalar(big_r + public(seed) + message) * a) % L
    return big_r + s.to_bytes(32, "little")


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha(data):
    return hashlib.sha256(data).digest()


def domain(name, data):
    return f"tributary/{name}/v1".encode() + b"\0" + data


def head(leaves):
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return sha(b"\0" + leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\1" + head(leaves[:k]) + head(leaves[k:]))


def op(seed, record):
    data = canonical(record)
    return {
        "record": record,
        "bytes": data.decode(),
        "id": sha(domain("op", data)).hex(),
        "signature": sign(seed, domain("op", data)).hex(),
    }


ALICE, BOB = sha(b"alice"), sha(b"bob")
alice, bob = public(ALICE).hex(), public(BOB).hex()
word = lambda text: sha(text.encode()).hex()

init = op(ALICE, {
    "v": 1, "g": 0, "rid": alice, "ep": 0, "seq": 0, "hlc": 1, "t": "space.init", "name": "team",
    "nonce": word("nonce"), "policy": {"access": "members", "rules": 1}, "base": word("base"),
})
space = init["id"][:32]
acl = head([bytes.fromhex(init["id"])]).hex()
ops = [init]


def after(seed, last, body, hlc):
    rid = public(seed).hex()
    place = {"seq": 0} if last is None else {"seq": last["record"]["seq"] + 1, "prev": last["id"]}
    made = op(seed, {"v": 1, "sp": space, "g": 0, "rid": rid, "ep": 0, **place, "hlc": hlc, "acl": acl, **body})
    ops.append(made)
    return made


contribution = {
    "content": word("content"), "model": word("model"), "name": "legal-de", "weight": "0.1", "kind": "adapter",
    "base": word("base"), "samples": 1200, "license": "apache-2.0", "tags": ["deutsch", "recht", "Ünïcode 😀"],
    "sidecars": {"fisher": word("fisher"), "optimizer_state": word("state")},
    "meta": [["epoch", "3"], ["lr", "2e-5"]],
}
contribution["tags"].sort(key=lambda tag: tag.encode())

grant = after(ALICE, init, {"t": "member.add", "member": bob, "role": "writer"}, 2)
added = after(BOB, None, {"t": "add", "contribution": contribution, "replaces": []}, 5)
gone = after(BOB, added, {"t": "remove", "dots": [added["id"]]}, 6)
twin = after(BOB, added, {"t": "receipt", "body": [["any", "thing"]]}, 7)
pair = sorted([gone, twin], key=lambda item: item["id"])
encoded = [
    base64.urlsafe_b64encode(bytes.fromhex(item["signature"]) + item["bytes"].encode()).decode().rstrip("=")
    for item in pair
]
evidence = after(ALICE, grant, {"t": "evidence", "a": encoded[0], "b": encoded[1]}, 8)
pardon = after(ALICE, evidence, {
    "t": "amnesty", "member": bob, "evidence": evidence["id"], "from_ep": 1, "reason": "restored from a backup",
}, 9)
revoke = after(ALICE, pardon, {"t": "revoke", "content": contribution["content"], "reason": "personal data"}, 10)
after(ALICE, revoke, {
    "t": "member.remove", "member": bob, "last_ep": 2, "last_seq": -1, "earlier": [[0, 0], [1, 4]],
}, 11)


def client_of(ep):
    data = canonical({"ep": ep, "g": 0, "rid": alice, "sp": space})
    return int.from_bytes(sha(domain("clock", data))[:8], "big") >> 11 or 1


def dots_alike():
    """Two adds whose ids begin with the same 32 bits: as many as a tag of 32 bits would tell apart."""
    seen = {}
    base = {**added["record"], "seq": 0}
    hlc = 0
    while True:
        record = {**base, "hlc": hlc}
        start = sha(domain("op", canonical(record))).hex()[:8]
        if start in seen:
            return [seen[start], hlc]
        seen[start] = hlc
        hlc += 1


# a key of order 1: with it, any (R = S·B, S) "signs" every message
weak_s = scalar(b"anything")
weak = {"key": encode((0, 1)).hex(), "signature": (encode(times(weak_s, BASE)) + weak_s.to_bytes(32, "little")).hex()}

first = bytes.fromhex(init["signature"])
malleated = first[:32] + (int.from_bytes(first[32:], "little") + L).to_bytes(32, "little")

small = {0: None, 1: None, P - 1: None}
for y in range(2, 40):  # 4·(anything of the full group times L) is no help: take L times points until the order is 8
    try:
        point = times(L, (x_of(y), y))
    except AssertionError:
        continue
    for n in range(8):
        small[times(n, point)[1]] = None
small_order = sorted({(y | sign_bit << 255).to_bytes(32, "little").hex() for y in small for sign_bit in (0, 1)})

print(json.dumps({
    "seeds": {"alice": ALICE.hex(), "bob": BOB.hex()},
    "rids": {"alice": alice, "bob": bob},
    "space": space,
    "acl": {"members": [init["id"], grant["id"]], "head": head(sorted(map(bytes.fromhex, [init["id"], grant["id"]]))).hex()},
    "clients": [[ep, client_of(ep)] for ep in (0, 1, 7)],
    "contribution": {"record": contribution, "id": sha(domain("contribution", canonical(contribution))).hex()},
    "ops": ops,
    "dots_alike": {"record": {**added["record"], "seq": 0}, "hlcs": dots_alike()},
    "weak": weak,
    "malleated": malleated.hex(),
    "small_order": small_order,
}, ensure_ascii=False, indent=1))
