"""A transformer as nanoGPT has it, in float32, to measure the Shakespeare models against: LayerNorm, GELU, learned positions,
as many KV heads as heads, a tied head, no biases, dropout in attention too (its README's settings for the Shakespeare text)."""

import math
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class GptShape:
    """What a model is; the feed-forward branch is four times as wide as the residual stream."""

    n_vocab: int
    d_model: int
    n_layers: int
    n_heads: int
    n_ctx: int
    dropout: float = 0.0
    position: str = "learned"

    def as_dict(self):
        return asdict(self)


class GptLayer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        d = shape.d_model
        self.attn_norm, self.ffn_norm = nn.LayerNorm(d, bias=False), nn.LayerNorm(d, bias=False)
        self.qkv, self.o = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.up, self.down = nn.Linear(d, 4 * d, bias=False), nn.Linear(4 * d, d, bias=False)
        self.dropout = nn.Dropout(shape.dropout)

    def attention(self, x):
        batch, n_tokens, _ = x.shape
        q, k, v = (part.view(batch, n_tokens, self.shape.n_heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        dropout = self.shape.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        return self.o(out.transpose(1, 2).reshape(batch, n_tokens, -1))

    def forward(self, x):
        x = x + self.dropout(self.attention(self.attn_norm(x)))
        return x + self.dropout(self.down(F.gelu(self.up(self.ffn_norm(x)))))


class NanoGpt(nn.Module):
    """forward(ids [batch, n_tokens]) -> hidden states [batch, n_tokens, d_model]; head(x) -> logits [.., n_vocab]."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.n_vocab, shape.d_model)
        self.positions = nn.Embedding(shape.n_ctx, shape.d_model)
        self.layers = nn.ModuleList(GptLayer(shape) for _ in range(shape.n_layers))
        self.norm = nn.LayerNorm(shape.d_model, bias=False)
        self.dropout = nn.Dropout(shape.dropout)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)
        for layer in self.layers:  # GPT-2's: what is added to the residual stream starts small
            for last in (layer.o, layer.down):
                nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * shape.n_layers))

    def forward(self, ids):
        x = self.dropout(self.embedding(ids) + self.positions.weight[:ids.shape[1]])
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def head(self, x):
        return F.linear(x, self.embedding.weight)

    def n_parameters(self):
        return sum(parameter.numel() for parameter in self.parameters())
