"""What a trained model does, by the training program's own mathematics.

  python evaluate.py perplexity NAME                 held-out text in windows of 256, 384, 512, 1024 and 2048 tokens
  python evaluate.py logits NAME --ids FILE --out FILE   float32 [n, n_vocab] for the ids of a file, weights rounded to F16
  python evaluate.py unheard tutor                   share of right answers to the questions of each file in unheard/
  python evaluate.py chat NAME --prompt TEXT         a greedy answer
"""

import argparse
import math
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional as F

from corpus import LANGUAGES, read_facts, read_unheard
from data import ShakespeareData
from recipes import RECIPES
from tokens import ChatEncoder

ROOT = Path(__file__).parents[2]
LENGTHS = (256, 384, 512, 1024, 2048)
OPENING = 12  # tokens, which tell the answers of all facts apart


def load(recipe, folder, rounded=False):
    """The trained model; rounded: matrices as the F16 file has them."""
    saved = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    model = recipe.make_model()
    model.load_state_dict(saved["model"])
    if rounded:
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2 and not name.startswith("positions"):
                parameter.data = parameter.data.half().float()
    return model.eval()


@torch.no_grad()
def perplexity(model, ids, window):
    """exp of the mean NLL over windows that each begin anew and predict every successor, as `kvasir score --window` does."""
    total, count = 0.0, 0
    for at in range(0, len(ids) - 1, window):
        piece = torch.tensor(ids[at:at + window + 1])
        if len(piece) < 2:
            break
        logits = model.head(model(piece[None, :-1]))[0]
        total += F.cross_entropy(logits, piece[1:], reduction="sum").item()
        count += len(piece) - 1
    return math.exp(total / count)


@torch.no_grad()
def greedy(model, ids, n_tokens, end):
    """Up to n_tokens ids after the prompt, the most probable each time, stopping at the end id."""
    made = []
    while len(made) < n_tokens and len(ids) + len(made) < model.shape.n_ctx:
        x = model(torch.tensor([ids + made]))[:, -1]
        made.append(int(model.head(x).argmax()))
        if made[-1] == end:
            return made[:-1]
    return made


@torch.no_grad()
def openings(model, prompts):
    """The greedy continuation of each prompt by OPENING ids."""
    rows = torch.zeros(len(prompts), max(map(len, prompts)) + OPENING, dtype=torch.long)
    for row, prompt in zip(rows, prompts):
        row[:len(prompt)] = torch.tensor(prompt)
    each, ends = torch.arange(len(prompts)), torch.tensor([len(prompt) for prompt in prompts])
    for step in range(OPENING):  # what lies behind a position does not reach it
        rows[each, ends + step] = model.head(model(rows)[each, ends + step - 1]).argmax(-1)
    return [row[end:end + OPENING].tolist() for row, end in zip(rows, ends)]


def answered(model, encoder, path, batch=50):
    """{language: (right, questions)} of a file of unheard questions; right is an answer that begins as one of the fact does."""
    asked = [(encoder.prompt([{"role": "user", "text": question}]), fact.sides[language].answers, language)
             for fact, language, question in read_unheard(path, read_facts())]
    asked.sort(key=lambda one: len(one[0]))  # a batch is as wide as its longest
    marks = {language: [] for language in LANGUAGES}
    for at in range(0, len(asked), batch):
        part = asked[at:at + batch]
        for (_, answers, language), ids in zip(part, openings(model, [prompt for prompt, _, _ in part])):
            begun = [encoder.plain(answer)[:OPENING] for answer in answers]
            marks[language].append(any(ids[:len(begin)] == begin for begin in begun))
    return {language: (sum(found), len(found)) for language, found in marks.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("perplexity", "logits", "unheard", "chat"))
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--ids", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--prompt", default="What is attention?")
    options = parser.parse_args()
    recipe = RECIPES[options.name]
    folder = options.folder or ROOT / "build" / "train" / recipe.name
    model = load(recipe, folder, rounded=options.what == "logits")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if options.what == "perplexity":
        data = ShakespeareData(recipe)
        data.use(tokenizer)
        for window in LENGTHS:
            if recipe.shape.position == "learned" and window > recipe.shape.n_ctx:
                print(f"{recipe.name} {window}: -")
            else:
                print(f"{recipe.name} {window}: {perplexity(model, data.held_out.tolist(), window):.3f}", flush=True)
    elif options.what == "logits":
        ids = [int(word) for word in options.ids.read_text().replace(",", " ").split()]
        with torch.no_grad():
            model.head(model(torch.tensor([ids])))[0].numpy().astype("<f4").tofile(options.out)
    elif options.what == "unheard":
        for path in sorted((Path(__file__).parent / "unheard").iterdir()):
            shares = answered(model, ChatEncoder(tokenizer), path)
            print(f"{path.stem}: " + ", ".join(f"{language} {right} of {total}, {100 * right / total:.1f} %"
                                               for language, (right, total) in shares.items()), flush=True)
    else:
        encoder = ChatEncoder(tokenizer)
        prompt = encoder.prompt([{"role": "user", "text": options.prompt}])
        print(tokenizer.decode(greedy(model, prompt, 300, encoder.end)))


if __name__ == "__main__":
    main()
