"""Writes a trained model as GGUF: python export.py NAME [--type f16|q8_0|f32] [--folder FOLDER] [--out FILE]"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import torch

from gguf import write_gguf
from recipes import BUILT_IN, RECIPES
from tokens import CHAT_TEMPLATE, PRE_TOKENIZER, TEXT_END, TURN_END

ROOT = Path(__file__).parents[2]
FILE_TYPES = {"f32": 0, "f16": 1, "q8_0": 7}
NORMAL, CONTROL = 1, 3
TEMPERATURE = 0.2  # of the tutor, whose first tokens decide which fact an answer is; llama.cpp's key


def shape_keys(recipe):
    """The shape under the keys of its family (GGUF specification, LLM section)."""
    shape = recipe.shape
    keys = {"context_length": shape.n_ctx, "embedding_length": shape.d_model, "block_count": shape.n_layers,
            "feed_forward_length": shape.d_ff, "attention.head_count": shape.n_heads, "attention.head_count_kv": shape.n_kv_heads,
            "attention.layer_norm_rms_epsilon": shape.norm_eps, "vocab_size": shape.n_vocab}
    if shape.position == "rope":
        keys |= {"rope.dimension_count": shape.head_dim, "rope.freq_base": shape.rope_base}
    if shape.position == "alibi":
        keys |= {"attention.max_alibi_bias": shape.alibi_max_bias}
    return {f"{recipe.family}.{key}": value for key, value in keys.items()}


def tokenizer_keys(recipe, path):
    saved = json.loads(path.read_text(encoding="utf-8"))
    ids = saved["model"]["vocab"]
    special = {token["content"] for token in saved["added_tokens"]}
    labels = sorted(ids, key=ids.get)
    end = ids[TURN_END] if recipe.data == "tutor" else ids[TEXT_END]
    keys = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": PRE_TOKENIZER, "tokenizer.ggml.tokens": labels,
            "tokenizer.ggml.token_type": [CONTROL if label in special else NORMAL for label in labels],
            "tokenizer.ggml.merges": [" ".join(pair) for pair in saved["model"]["merges"]],
            "tokenizer.ggml.bos_token_id": ids[TEXT_END], "tokenizer.ggml.eos_token_id": end,
            "tokenizer.ggml.add_bos_token": False}
    if recipe.data == "tutor":
        keys |= {"tokenizer.ggml.padding_token_id": ids[TEXT_END], "tokenizer.chat_template": CHAT_TEMPLATE}
    return keys


def text_hash():
    """sha256 over the names and bytes of the corpus, so that a model tells which text it was made of."""
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parent / "corpus").iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def general_keys(recipe, kind, saved):
    """What the model is and how it was made; the general.training keys are ours."""
    keys = {"general.architecture": recipe.family, "general.type": "model", "general.name": recipe.title,
            "general.basename": recipe.name, "general.description": recipe.description, "general.author": "Kvasir",
            "general.license": "MIT", "general.file_type": FILE_TYPES[kind],
            "general.languages": ["en", "zh"] if recipe.data == "tutor" else ["en"],
            "general.training.command": f"assets/train/run {recipe.data}", "general.training.seed": recipe.seed,
            "general.training.steps": saved["step"], "general.training.tokens_read": saved["n_read"],
            "general.training.tokens_learned": saved["n_learned"]}
    if recipe.data == "tutor":
        keys["general.training.text_sha256"] = text_hash()
        keys["general.sampling.temp"] = TEMPERATURE
    if kind == "q8_0":
        keys["general.quantization_version"] = 2
    return keys


def tensors_of(model, kind):
    """Weights under GGUF's standard names; matrices in the wanted type, norms and positions in F32."""
    names = {"embedding.weight": "token_embd.weight", "positions.weight": "position_embd.weight", "norm.weight": "output_norm.weight"}
    parts = {"attn_norm": "attn_norm", "attn.q": "attn_q", "attn.k": "attn_k", "attn.v": "attn_v", "attn.o": "attn_output",
             "ffn_norm": "ffn_norm", "ffn.gate": "ffn_gate", "ffn.up": "ffn_up", "ffn.down": "ffn_down"}
    tensors = {}
    for name, values in model.items():
        if name.startswith("layers."):
            _, layer, part = name.removesuffix(".weight").split(".", 2)
            target = f"blk.{layer}.{parts[part]}.weight"
        else:
            target = names[name]
        small = values.dim() == 1 or target.startswith("position")
        tensors[target] = (values.float().cpu().numpy(), "f32" if small else kind)
    return tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=BUILT_IN)
    parser.add_argument("--type", choices=FILE_TYPES, default="f16")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path, help="instead of assets/NAME.gguf")
    options = parser.parse_args()
    recipe = RECIPES[options.name]
    folder = options.folder or ROOT / "build" / "train" / recipe.name
    saved = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    if saved["shape"] != recipe.shape.as_dict():
        sys.exit(f"{folder}/checkpoint.pt holds a model of another shape than the recipe's; train it anew")
    metadata = general_keys(recipe, options.type, saved) | shape_keys(recipe) | tokenizer_keys(recipe, folder / "tokenizer.json")
    out = options.out or ROOT / "assets" / f"{recipe.name}.gguf"
    write_gguf(out, metadata, tensors_of(saved["model"], options.type))
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
