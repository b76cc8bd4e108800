"""Batches, each a function of the seed and its place alone, so that a run can stop anywhere and go on as if it had not."""

import random
import re
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from expand import Corpus, Talker
from tokens import TEXT_END, TURN_BEGIN, TURN_END, ChatEncoder, train_tokenizer

IGNORED = -100  # a target that is not learned, as torch's cross_entropy has it
OPENING = 8  # tokens of an answer that is cut
FIRST = 20  # how often the tokenizer sees an English answer's first word besides
NOISY = 0.3  # of the conversations: in those,
LOST = 0.1  # of the tokens of a question are lost,
SWAPPED = 0.04  # and of the others become any token
SHAKESPEARE = Path(__file__).parents[2] / ".." / "shared" / "data" / "text" / "tinyshakespeare.txt"


class TutorData:
    """Conversations of one round after another, of like length together, no more than n_batch_tokens a batch.

    A batch is (ids, targets, asked): asked [n, 3] has row, position before the answer and number of the fact of each answer.
    """

    special = [TEXT_END, TURN_BEGIN, TURN_END]

    def __init__(self, recipe):
        self.recipe = recipe
        self.corpus = Corpus()
        self.numbers = {fact.id: number for number, fact in enumerate(self.corpus.facts)}
        self.encoder = None
        self.filled, self.batches = None, []  # (round, phase), and what it holds

    def texts(self):
        """What the tokenizer is trained on: questions and answers of one round, the questions of its openings, and first words:
        without a space before it a word is rare, and of its first letter alone nobody knows which answer begins."""
        talker = Talker(self.corpus, 0, self.recipe.seed)
        for conversation in talker.conversations():
            yield from [conversation["page"]] if "page" in conversation else [turn["text"] for turn in conversation["turns"]]
        for opening in talker.openings():
            yield opening["turns"][0]["text"]
        for answer in chain.from_iterable(fact.sides["en"].answers for fact in self.corpus.facts):
            yield from [re.split("[ ,:(]", answer)[0]] * FIRST

    def use(self, tokenizer):
        self.encoder = ChatEncoder(tokenizer)

    def make_tokenizer(self):
        return train_tokenizer(self.texts(), self.recipe.shape.n_vocab, self.special)

    def batch(self, place, phase):
        """(batch, next place) at place (round, index) of a phase of the training."""
        number, index = place
        if self.filled != (number, phase):
            self.fill(number, phase)
            self.filled = number, phase
        return self.batches[index], (number, index + 1) if index + 1 < len(self.batches) else (number + 1, 0)

    def fill(self, number, phase):
        rng = random.Random(f"{self.recipe.seed}/batches/{number}")
        talker = Talker(self.corpus, number, self.recipe.seed, phase.mix)
        whole, opening = ([], 1) if phase.guide_alone else (talker.conversations(), OPENING)
        rows = [self.encode(c, rng, opening) for c in chain(whole, talker.openings())]
        rows.sort(key=lambda row: len(row[0]) * rng.uniform(0.97, 1.03))
        groups, group, longest = [], [], 0
        for row in rows:
            longest = max(longest, len(row[0]))
            if group and longest * (len(group) + 1) > self.recipe.n_batch_tokens:
                groups.append(group)
                group, longest = [], len(row[0])
            group.append(row)
        groups.append(group)
        rng.shuffle(groups)
        self.batches = [pad(group) for group in groups]

    def noise(self, rng):
        """What a question's tokens become, so that a word which the model does not know changes little."""
        def hear(ids):
            kept = [i for i in ids if rng.random() >= LOST]
            return [rng.randrange(len(self.special), self.recipe.shape.n_vocab) if rng.random() < SWAPPED else i for i in kept]

        return hear

    def encode(self, conversation, rng, opening):
        """(ids, targets, asked) of a conversation, cut before the turn that would not fit into the context, or after `opening`
        tokens of the last answer; of prose all is learned."""
        if "page" in conversation:
            ids = self.encoder.plain(conversation["page"])[:self.recipe.shape.n_ctx]
            return ids[:-1], ids[1:], []
        ids, learned, asked = [], [], []
        noisy = rng.random() < NOISY
        for turn in conversation["turns"]:
            more, marks = self.encoder.turn(turn["role"], turn["text"], self.noise(rng) if noisy else None)
            if len(ids) + len(more) > self.recipe.shape.n_ctx:
                break
            if turn["role"] == "assistant":
                asked.append((len(ids) + marks.index(True) - 1, self.numbers[turn["fact"]]))
            ids += more
            learned += marks
        if conversation.get("cut"):  # a turn that was given whole is learned no more than the question after it
            begin = len(ids) - len(more) + marks.index(True)
            ids, learned = ids[:begin + opening], [False] * begin + learned[begin:begin + opening]
        return ids[:-1], [i if mark else IGNORED for i, mark in zip(ids[1:], learned[1:])], asked


def pad(rows):
    """Rows of (ids, targets, asked) as tensors [n_rows, longest] and [n, 3]; what is added at the end is neither learned nor
    seen."""
    longest = max(len(ids) for ids, _, _ in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    targets = torch.full((len(rows), longest), IGNORED, dtype=torch.long)
    asked = [(row, *each) for row, (_, _, several) in enumerate(rows) for each in several]
    for row, (these, those, _) in enumerate(rows):
        ids[row, :len(these)] = torch.tensor(these)
        targets[row, :len(those)] = torch.tensor(those)
    return ids, targets, torch.tensor(asked, dtype=torch.long).view(-1, 3)


class ShakespeareData:
    """Windows of the first nine tenths of the text at random places; the last tenth is held out."""

    special = [TEXT_END]

    def __init__(self, recipe):
        self.recipe = recipe
        text = SHAKESPEARE.read_text(encoding="utf-8")
        self.train_text, self.held_out_text = text[:len(text) * 9 // 10], text[len(text) * 9 // 10:]
        self.ids = None

    def make_tokenizer(self):
        return train_tokenizer([self.train_text], self.recipe.shape.n_vocab, self.special)

    def use(self, tokenizer):
        self.ids = np.array(tokenizer.encode(self.train_text, add_special_tokens=False).ids)
        self.held_out = np.array(tokenizer.encode(self.held_out_text, add_special_tokens=False).ids)

    def batch(self, place, phase):
        """((ids, targets, None), next place) at place (round, index); a round is as many tokens as the text has."""
        number, index = place
        n_ctx = self.recipe.shape.n_ctx
        n_rows = self.recipe.n_batch_tokens // n_ctx
        rng = np.random.default_rng([self.recipe.seed, number, index])
        at = rng.integers(0, len(self.ids) - n_ctx, n_rows)
        rows = torch.tensor(np.stack([self.ids[i:i + n_ctx + 1] for i in at]))
        last = (index + 1) * self.recipe.n_batch_tokens >= len(self.ids)
        return (rows[:, :-1], rows[:, 1:], None), (number + 1, 0) if last else (number, index + 1)
