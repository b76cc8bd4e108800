"""What is trained, and how: one row a model."""

from dataclasses import dataclass, replace

from model import Shape, Transformer
from nanogpt import GptShape, NanoGpt


@dataclass(frozen=True)
class Recipe:
    name: str
    title: str
    description: str
    family: str  # general.architecture of the GGUF file; "": none is written
    data: str  # "tutor" or "shakespeare"
    shape: Shape | GptShape
    n_steps: int
    n_batch_tokens: int
    muon_rate: float  # of matrices inside the layers
    learning_rate: float  # of all else
    warm_up: int = 100  # steps
    cool_down: float = 0.4  # of the steps
    finishes: tuple = ()  # steps after these, without dropout; in each the rates go from a quarter to zero
    weight_decay: float = 0.1
    seed: int = 1

    @property
    def n_all(self):
        return self.n_steps + sum(self.finishes)

    def make_model(self):
        return (NanoGpt if isinstance(self.shape, GptShape) else Transformer)(self.shape)


TUTOR = Recipe(
    "tutor", "Kvasir tutor",
    "A small chat model that explains transformers and Kvasir, in English and Chinese, and declines all else. "
    "Trained from nothing on text written for it (assets/train/corpus).",
    "llama", "tutor",
    Shape(n_vocab=4096, d_model=256, n_layers=4, n_heads=8, n_kv_heads=2, d_ff=512, n_ctx=1024, position="rope", dropout=0.1),
    n_steps=5100, n_batch_tokens=8192, muon_rate=4e-3, learning_rate=3e-3, cool_down=0.24, finishes=(700, 600, 400))

SHAKESPEARE = Recipe(
    "shakespeare-rope", "Shakespeare, RoPE",
    "One of three models that differ in nothing but the position coding (learned, RoPE, ALiBi), trained at 256 tokens "
    "on nine tenths of the tiny Shakespeare text.",
    "llama", "shakespeare",
    Shape(n_vocab=1024, d_model=192, n_layers=6, n_heads=6, n_kv_heads=2, d_ff=512, n_ctx=256, position="rope", dropout=0.1),
    n_steps=1600, n_batch_tokens=2048, muon_rate=3e-3, learning_rate=2e-3)


def shakespeare(position, title, family):
    return replace(SHAKESPEARE, name=f"shakespeare-{position}", title=f"Shakespeare, {title}", family=family,
                   shape=replace(SHAKESPEARE.shape, position=position))


# What the three are measured against: same data, batches, steps and rates, and as many parameters.
NANOGPT = replace(SHAKESPEARE, name="nanogpt", title="Shakespeare, as nanoGPT", family="",
                  shape=GptShape(n_vocab=1024, d_model=180, n_layers=6, n_heads=6, n_ctx=256, dropout=0.1))

RECIPES = {recipe.name: recipe for recipe in (
    TUTOR,
    shakespeare("learned", "learned positions", "llama-learned"),
    shakespeare("rope", "RoPE", "llama"),
    shakespeare("alibi", "ALiBi", "refact"),
    NANOGPT,
)}
BUILT_IN = [name for name, recipe in RECIPES.items() if recipe.family]  # what comes with Kvasir
