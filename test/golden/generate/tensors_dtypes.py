"""Golden vectors for element types: what NumPy and ml_dtypes decode, and exact roundings by Python's fractions.

    pip install numpy ml_dtypes && python test/golden/generate/tensors_dtypes.py

ml_dtypes rounds f64 to bfloat16 by way of f32, which rounds some halfway cases twice. So the expected codes come from a
rounder over exact fractions, and the libraries are asked to agree wherever their own way is exact.
"""
import hashlib
import json
import math
import pathlib
import struct
from fractions import Fraction

import ml_dtypes
import numpy as np

OUT = pathlib.Path(__file__).parent.parent / "vectors" / "tensors_dtypes.json"
TYPES = {
    # name: (NumPy type, integer type, mantissa bits, bias, first magnitude that is not finite)
    "F32": (np.float32, np.uint32, 23, 127, 0x7F800000),
    "F16": (np.float16, np.uint16, 10, 15, 0x7C00),
    "BF16": (ml_dtypes.bfloat16, np.uint16, 7, 127, 0x7F80),
    "F8_E4M3": (ml_dtypes.float8_e4m3fn, np.uint8, 3, 7, 0x7F),
    "F8_E5M2": (ml_dtypes.float8_e5m2, np.uint8, 2, 15, 0x7C),
}


def finite_value(code, mantissa_bits, bias):
    exponent, mantissa = code >> mantissa_bits, code & ((1 << mantissa_bits) - 1)
    if exponent == 0:
        return Fraction(mantissa) * Fraction(2) ** (1 - bias - mantissa_bits)
    return Fraction((1 << mantissa_bits) + mantissa) * Fraction(2) ** (exponent - bias - mantissa_bits)


def exact_code(value, mantissa_bits, bias, not_finite):
    """Bisect the format's own magnitudes, then take the nearer neighbour, the even one in the middle."""
    magnitude = abs(Fraction(value))
    low, high = 0, not_finite
    while high - low > 1:
        middle = (low + high) // 2
        if finite_value(middle, mantissa_bits, bias) <= magnitude:
            low = middle
        else:
            high = middle
    below, above = finite_value(low, mantissa_bits, bias), finite_value(low + 1, mantissa_bits, bias)
    up = magnitude - below > above - magnitude or (magnitude - below == above - magnitude and low % 2 == 1)
    return low + 1 if up else low


def decoded_digest(numpy_type, integer_type):
    codes = np.arange(np.iinfo(integer_type).max + 1, dtype=integer_type)
    with np.errstate(all="ignore"):
        values = codes.view(numpy_type).astype(np.float64)
    values[np.isnan(values)] = np.nan
    bits = values.view(np.uint64)
    bits[np.isnan(values)] = 0x7FF8000000000000
    return hashlib.sha256(bits.astype("<u8").tobytes()).hexdigest()


def cases(rng, mantissa_bits, bias, not_finite):
    values = []
    codes = sorted({0, 1, 2, 3, (1 << mantissa_bits) - 1, 1 << mantissa_bits, not_finite - 2, not_finite - 1}
                   | {int(code) for code in rng.integers(0, not_finite, 24)})
    for code in codes:
        low, high = finite_value(code, mantissa_bits, bias), finite_value(code + 1, mantissa_bits, bias)
        middle = float((low + high) / 2)
        values += [float(low), middle, math.nextafter(middle, 0), math.nextafter(middle, math.inf)]
    values += [float(v) for v in rng.standard_normal(24) * 0.02]
    values += [5e-324, 2.2250738585072014e-308, 1e-45, 1e308, 65504.0, 65519.99, 65520.0, 448.0, 464.0, 464.1, 1e300]
    return [sign * value for value in values for sign in (1, -1)]


def main():
    rng = np.random.default_rng(20)
    document = {"decoded_sha256": {}, "encoded": {}}
    for name, (numpy_type, integer_type, mantissa_bits, bias, not_finite) in TYPES.items():
        bits = np.iinfo(integer_type).bits
        if bits <= 16:
            document["decoded_sha256"][name] = decoded_digest(numpy_type, integer_type)
        pairs = []
        for value in cases(rng, mantissa_bits, bias, not_finite):
            code = exact_code(value, mantissa_bits, bias, not_finite)
            signed = code | (1 << (bits - 1)) if code and math.copysign(1, value) < 0 else code
            if code < not_finite and (name in ("F32", "F16") or float(np.float32(value)) == value):
                with np.errstate(all="ignore"):
                    theirs = int(np.array([value], dtype=np.float64).astype(numpy_type).view(integer_type)[0])
                assert theirs == signed or code == 0, (name, value, theirs, signed)
            pairs.append([struct.pack(">d", value).hex(), signed if code < not_finite else "not finite"])
        document["encoded"][name] = pairs
    lines = ",\n".join(f'    "{name}": {json.dumps(pairs)}' for name, pairs in document["encoded"].items())
    digests = json.dumps(document["decoded_sha256"])
    OUT.write_text(f'{{\n  "decoded_sha256": {digests},\n  "encoded": {{\n{lines}\n  }}\n}}\n')


main()
