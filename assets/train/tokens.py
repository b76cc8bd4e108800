"""Byte-level BPE vocabularies: trained once on a model's text, kept as tokenizer.json, written into its GGUF file."""

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

TEXT_END, TURN_BEGIN, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

# The pre-tokenizer that GGUF files call "qwen2" (tokenizer.json of Qwen/Qwen2-7B): digits one by one, no word across spaces.
PRE_TOKENIZER = "qwen2"
EXPRESSION = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
              r"\s+(?!\S)|\s+")

CHAT_TEMPLATE = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
                 "'<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def train_tokenizer(texts, n_vocab, special):
    """A tokenizer of n_vocab tokens: the special ones first, then the 256 bytes, then merges by frequency in the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(EXPRESSION), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=n_vocab, special_tokens=special, show_progress=False, min_frequency=2,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != n_vocab:
        raise ValueError(f"the text gives {tokenizer.get_vocab_size()} tokens, not {n_vocab}: more text or a smaller vocabulary")
    return tokenizer


class ChatEncoder:
    """Turns into ids with ChatML's marks, and which of them the assistant wrote."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        tokenizer.encode_special_tokens = True  # a mark's name inside a text is text: the corpus explains ChatML
        self.begin, self.end = tokenizer.token_to_id(TURN_BEGIN), tokenizer.token_to_id(TURN_END)
        self.newline = self.plain("\n")

    def plain(self, text):
        """Ids of a text, in which nothing is a special token."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def turn(self, role, text, hear=None):
        """(ids, learned) of one turn: the answer and its end mark are learned, all else is given, as hear() has it."""
        given = [self.begin] + self.plain(role + "\n")
        if role != "assistant":
            said = self.plain(text)
            ids = given + (hear(said) if hear else said) + [self.end] + self.newline
            return ids, [False] * len(ids)
        answer = self.plain(text) + [self.end]
        return given + answer + self.newline, [False] * len(given) + [True] * len(answer) + [False] * len(self.newline)

    def prompt(self, turns):
        """Ids after which the assistant answers."""
        ids = [i for turn in turns for i in self.turn(turn["role"], turn["text"])[0]]
        return ids + [self.begin] + self.plain("assistant\n")
