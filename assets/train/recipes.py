"""What is trained, and how: one row a model."""

from dataclasses import dataclass, replace

from expand import Mix
from model import Shape, Transformer
from nanogpt import GptShape, NanoGpt


@dataclass(frozen=True)
class Phase:
    """A stretch of training: a linear warm-up to its share of the rates, then all of that, then a straight line to zero (so its
    length can still be chosen while it runs; Hägele et al. 2024). It begins a new round of the data."""

    n_steps: int
    share: float = 1.0  # of the recipe's rates
    warm_up: int = 100  # steps
    cool_down: float = 0.4  # of the steps
    guide_alone: bool = False  # questions without answers, through half of the layers
    mix: Mix = Mix()  # of the tutor's text

    def rate_share(self, step):
        """What part of the recipe's rates the phase's step has."""
        return self.share * min(1, (step + 1) / self.warm_up, (self.n_steps - step) / (self.cool_down * self.n_steps))


@dataclass(frozen=True)
class Recipe:
    name: str
    title: str
    description: str
    family: str  # general.architecture of the GGUF file; "": none is written
    data: str  # "tutor" or "shakespeare"
    shape: Shape | GptShape
    phases: tuple
    n_batch_tokens: int
    muon_rate: float  # of matrices inside the layers
    learning_rate: float  # of all else
    weight_decay: float = 0.1
    seed: int = 1

    @property
    def n_steps(self):
        return sum(phase.n_steps for phase in self.phases)

    def phase_at(self, step):
        """The phase of a step, and the step's number in it."""
        for phase in self.phases:
            if step < phase.n_steps:
                return phase, step
            step -= phase.n_steps
        raise IndexError(step)

    def with_steps(self, n_steps):
        """The same with phases shortened or lengthened alike."""
        share = n_steps / self.n_steps
        return replace(self, phases=tuple(replace(phase, n_steps=round(phase.n_steps * share)) for phase in self.phases))

    def make_model(self):
        return (NanoGpt if isinstance(self.shape, GptShape) else Transformer)(self.shape)


TUTOR = Recipe(
    "tutor", "Kvasir tutor",
    "A small chat model that explains transformers and Kvasir, in English and Chinese, and declines all else. "
    "Trained from nothing on text written for it (assets/train/corpus).",
    "llama", "tutor",
    Shape(n_vocab=4096, d_model=256, n_layers=4, n_heads=8, n_kv_heads=2, d_ff=512, n_ctx=1024, position="rope"),
    phases=(Phase(5500, cool_down=0.2, guide_alone=True, mix=Mix(off_topic=0.15, follow=0.1, change=0.05)),
            Phase(3200, mix=Mix(pages=0.15, follow=0.16, change=0.06)),
            Phase(500, 0.25, warm_up=1, cool_down=1.0, mix=Mix(off_topic=0.4, pages=0.3, follow=0.16, change=0.06))),
    n_batch_tokens=8192, muon_rate=2e-3, learning_rate=3e-3)

SHAKESPEARE = Recipe(
    "shakespeare-rope", "Shakespeare, RoPE",
    "One of three models that differ in nothing but the position coding (learned, RoPE, ALiBi), trained at 256 tokens "
    "on nine tenths of the tiny Shakespeare text.",
    "llama", "shakespeare",
    Shape(n_vocab=1024, d_model=192, n_layers=6, n_heads=6, n_kv_heads=2, d_ff=512, n_ctx=256, position="rope", dropout=0.1),
    phases=(Phase(1600),), n_batch_tokens=2048, muon_rate=3e-3, learning_rate=2e-3)


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
