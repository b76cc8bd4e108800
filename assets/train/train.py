"""Trains one model: python train.py NAME [--steps N] [--threads N] [--stop-after SECONDS] [--folder FOLDER]

Everything it makes lies in build/train/NAME: tokenizer.json, log.jsonl (one line every 20 steps), checkpoint.pt (every two
minutes and at the end; a later call goes on from it). A step's batch and dropout depend on the seed and the step alone, so an
interrupted run gives the losses of one that was not.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional as F

from data import IGNORED, ShakespeareData, TutorData
from model import Guide
from recipes import RECIPES

ROOT = Path(__file__).parents[2]
SAVE_EVERY = 120  # seconds
LOG_EVERY = 20  # steps
GUIDE_SHARE = 0.3  # of the loss, once the model itself learns too


def make_optimizers(model, guide, recipe):
    """Muon (Jordan 2024) for the matrices inside the layers, AdamW for embeddings and norms; matrices decay, norms do not."""
    inner = [p for p in model.layers.parameters() if p.dim() == 2]
    outer = [model.embedding.weight]
    norms = [p for p in model.parameters() if p.dim() == 1]
    adam = [{"params": outer, "weight_decay": recipe.weight_decay}, {"params": norms, "weight_decay": 0.0}]
    if hasattr(model, "positions"):  # at the full rate Adam's noise drowns what tells neighbours apart
        adam.append({"params": [model.positions.weight], "weight_decay": 0.0, "share": 0.1})
    if guide is not None:
        adam.append({"params": list(guide.parameters()), "weight_decay": 0.0})
    return [torch.optim.Muon(inner, lr=recipe.muon_rate, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(adam, lr=recipe.learning_rate, betas=(0.9, 0.95))]


def loss_of(model, ids, targets):
    """Mean negative log-likelihood of the learned targets; only their positions go through the head."""
    learned = targets != IGNORED
    return F.cross_entropy(model.head(model(ids)[learned]), targets[learned])


def guided_losses(model, guide, ids, targets, asked, guide_alone):
    """What is reported and what is minimised: of the guide alone its negative log-likelihood of the facts that are asked for, and
    nothing above it is computed; else the model's loss, and that with a share of the guide's."""
    row, position, fact = asked.unbind(1)
    if guide_alone:
        loss = F.cross_entropy(guide(model.lower(ids, (row, position))), fact)
        return loss, loss
    half = model.lower(ids)
    guide_loss = F.cross_entropy(guide(half[row, position]), fact) if len(asked) else half.new_zeros(())
    learned = targets != IGNORED
    loss = F.cross_entropy(model.head(model.upper(half, learned)), targets[learned])
    return loss, loss + GUIDE_SHARE * guide_loss


def prepare_data(recipe, folder):
    """The model's data with its tokenizer, which is trained at the first start."""
    data = {"tutor": TutorData, "shakespeare": ShakespeareData}[recipe.data](recipe)
    path = folder / "tokenizer.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        data.make_tokenizer().save(str(path))
    data.use(Tokenizer.from_file(str(path)))
    return data


class Run:
    """The state of a training: model, optimizer, step, place in the data, tokens learned from so far."""

    def __init__(self, recipe, folder, device, n_facts=0):
        self.recipe, self.folder, self.device = recipe, folder, device
        torch.manual_seed(recipe.seed)
        self.model = recipe.make_model().to(device)
        self.guide = Guide(recipe.shape, n_facts).to(device) if n_facts else None
        self.optimizers = make_optimizers(self.model, self.guide, recipe)
        self.step, self.place, self.n_learned, self.n_read = 0, (0, 0), 0, 0
        self.losses = []  # since the last line of the log
        self.path = folder / "checkpoint.pt"
        if self.path.exists():
            self.load()

    def load(self):
        saved = torch.load(self.path, map_location=self.device, weights_only=True)
        if saved["shape"] != self.recipe.shape.as_dict():
            sys.exit(f"{self.path} holds a model of another shape; move it away to begin anew")
        self.model.load_state_dict(saved["model"])
        if self.guide is not None:
            self.guide.load_state_dict(saved["guide"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"]):
            optimizer.load_state_dict(state)
        self.step, self.place = saved["step"], tuple(saved["place"])
        self.n_learned, self.n_read, self.losses = saved["n_learned"], saved["n_read"], saved["losses"]

    def save(self):
        state = {"shape": self.recipe.shape.as_dict(), "model": self.model.state_dict(),
                 "guide": self.guide and self.guide.state_dict(), "optimizers": [o.state_dict() for o in self.optimizers],
                 "step": self.step, "place": self.place, "n_learned": self.n_learned, "n_read": self.n_read,
                 "losses": self.losses}
        new = self.path.with_suffix(".new")
        torch.save(state, new)
        os.replace(new, self.path)  # a run that is killed here keeps the checkpoint before

    def advance(self, data):
        """One step."""
        recipe = self.recipe
        phase, at = recipe.phase_at(self.step)
        if at == 0 and self.place[1]:
            self.place = (self.place[0] + 1, 0)
        batch, self.place = data.batch(self.place, phase)
        ids, targets, asked = (None if part is None else part.to(self.device) for part in batch)
        self.n_read += ids.numel()
        self.n_learned += int((targets != IGNORED).sum())
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)  # of dropout
        if self.guide is None:
            loss = minimised = loss_of(self.model, ids, targets)
        else:
            loss, minimised = guided_losses(self.model, self.guide, ids, targets, asked, phase.guide_alone)
        for module in (self.model, self.guide):
            if module is not None:
                module.zero_grad(set_to_none=True)
        minimised.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer, rate in zip(self.optimizers, (recipe.muon_rate, recipe.learning_rate)):
            for group in optimizer.param_groups:
                group["lr"] = rate * phase.rate_share(at) * group.get("share", 1)
            optimizer.step()
        self.step += 1
        self.losses.append(loss.item())


def train(run, data, stop_after, log):
    """Steps until the recipe's number or the time is reached."""
    begun = saved = time.monotonic()
    read_before = run.n_read
    n_steps = run.recipe.n_steps
    while run.step < n_steps:
        run.advance(data)
        now = time.monotonic()
        if run.step % LOG_EVERY == 0 or run.step == n_steps:
            phase, at = run.recipe.phase_at(run.step - 1)
            line = {"step": run.step, "loss": round(sum(run.losses) / len(run.losses), 5), "round": run.place[0],
                    "rate_share": round(phase.rate_share(at), 4), "learned": run.n_learned,
                    "tokens_per_second": round((run.n_read - read_before) / (now - begun))}
            log.write(json.dumps(line) + "\n")
            log.flush()
            print(" ".join(f"{key} {value}" for key, value in line.items()), flush=True)
            run.losses = []
        if now - saved > SAVE_EVERY:
            run.save()
            saved = now
        if stop_after and now - begun > stop_after:
            break
    run.save()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--steps", type=int, help="instead of the recipe's: the schedule follows")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--stop-after", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--folder", type=Path, help="instead of build/train/NAME")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe = RECIPES[options.name]
    if options.steps:
        recipe = recipe.with_steps(options.steps)
    folder = options.folder or ROOT / "build" / "train" / recipe.name
    data = prepare_data(recipe, folder)
    run = Run(recipe, folder, torch.device("cuda" if torch.cuda.is_available() else "cpu"),
              len(data.corpus.facts) if recipe.data == "tutor" else 0)
    print(f"{recipe.name}: {run.model.n_parameters()} parameters, step {run.step} of {recipe.n_steps}, on {run.device}", flush=True)
    with open(folder / "log.jsonl", "a", encoding="utf-8") as log:
        train(run, data, options.stop_after, log)
    return 0 if run.step >= recipe.n_steps else 3


if __name__ == "__main__":
    sys.exit(main())
