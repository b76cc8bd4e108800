"""Writes GGUF version 3 files (specification: docs/gguf.md of the ggml project)."""

import struct

import numpy as np

ALIGNMENT = 32
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64 = 4, 5, 6, 7, 8, 9, 10
TENSOR_TYPES = {"f32": 0, "f16": 1, "q8_0": 8}


def text(value):
    data = value.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def number_type(value):
    if isinstance(value, bool):
        return BOOL, struct.pack("<B", value)
    if isinstance(value, float):
        return FLOAT32, struct.pack("<f", value)
    return (UINT32, struct.pack("<I", value)) if value < 2**32 else (UINT64, struct.pack("<Q", value))


def typed(value):
    """Bytes of a metadata value with its type: text, bool, float, whole number, or a list of texts or of whole numbers."""
    if isinstance(value, str):
        return struct.pack("<I", STRING) + text(value)
    if isinstance(value, list):
        kind = STRING if value == [] or isinstance(value[0], str) else INT32
        items = [text(item) if kind == STRING else struct.pack("<i", item) for item in value]
        return struct.pack("<IIQ", ARRAY, kind, len(items)) + b"".join(items)
    kind, data = number_type(value)
    return struct.pack("<I", kind) + data


def q8_0(values):
    """Blocks of 32 values as an F16 scale, the largest magnitude over 127, and 32 signed bytes."""
    blocks = values.astype(np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(1, keepdims=True) / 127
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    out = np.zeros((len(blocks), 34), np.uint8)
    out[:, :2] = scale.astype(np.float16).view(np.uint8)
    out[:, 2:] = np.round(blocks * inverse).astype(np.int8).view(np.uint8)
    return out.tobytes()


def tensor_bytes(values, kind):
    if kind == "q8_0":
        return q8_0(values)
    return np.ascontiguousarray(values, {"f32": "<f4", "f16": "<f2"}[kind]).tobytes()


def write_gguf(path, metadata, tensors):
    """metadata: {key: value}; tensors: {name: (array [rows, columns] or [n], "f32" | "f16" | "q8_0")}."""
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(metadata))]
    head += [text(key) + typed(value) for key, value in metadata.items()]
    body, size = [], 0
    for name, (values, kind) in tensors.items():
        shape = values.shape[::-1]  # GGUF counts the contiguous axis first
        head.append(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, TENSOR_TYPES[kind], size))
        data = tensor_bytes(values, kind)
        data += bytes(-len(data) % ALIGNMENT)
        body.append(data)
        size += len(data)
    start = b"".join(head)
    with open(path, "wb") as file:
        file.write(start + bytes(-len(start) % ALIGNMENT))
        file.writelines(body)
