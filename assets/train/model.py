"""The transformer of the built-in models, in float32: RMSNorm before each branch, SwiGLU, grouped heads, a tied head."""

import math
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F

N_WAVES = 8  # sinusoids that learned positions begin with, two channels each


@dataclass(frozen=True)
class Shape:
    """What a model is; position is "rope", "alibi" or "learned", and all else means the same for each."""

    n_vocab: int
    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_ff: int
    n_ctx: int
    position: str
    dropout: float = 0.0
    norm_eps: float = 1e-5
    rope_base: float = 10000.0
    alibi_max_bias: float = 8.0

    @property
    def head_dim(self):
        return self.d_model // self.n_heads

    def as_dict(self):
        return asdict(self)


def alibi_slopes(n_heads, max_bias=8.0):
    """Slope of each head (Press et al. 2021, section 3; two series where n_heads is no power of two)."""
    power = 2 ** int(math.log2(n_heads))
    slopes = [2 ** (-max_bias * (h + 1) / power) for h in range(power)]
    slopes += [2 ** (-max_bias * (2 * h + 1) / (2 * power)) for h in range(n_heads - power)]
    return torch.tensor(slopes)


def rope_angles(shape, n_tokens, device):
    """cos and sin [n_tokens, head_dim / 2] of position * base^(-2i/d) (Su et al. 2021)."""
    i = torch.arange(shape.head_dim // 2, device=device, dtype=torch.float64)
    angles = torch.outer(torch.arange(n_tokens, device=device, dtype=torch.float64), shape.rope_base ** (-2 * i / shape.head_dim))
    return angles.cos().float(), angles.sin().float()


def rotate_pairs(x, cos, sin):
    """x [batch, heads, n_tokens, head_dim] with neighbours (x0, x1), (x2, x3) ... rotated: the layout of GGUF's llama."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class RMSNorm(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.d_model))
        self.eps = shape.norm_eps

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        d_kv = shape.n_kv_heads * shape.head_dim
        self.q = nn.Linear(shape.d_model, shape.d_model, bias=False)
        self.k = nn.Linear(shape.d_model, d_kv, bias=False)
        self.v = nn.Linear(shape.d_model, d_kv, bias=False)
        self.o = nn.Linear(shape.d_model, shape.d_model, bias=False)

    def forward(self, x, angles, bias):
        batch, n_tokens, _ = x.shape
        split = lambda y: y.view(batch, n_tokens, -1, self.shape.head_dim).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        if angles is not None:
            q, k = rotate_pairs(q, *angles), rotate_pairs(k, *angles)
        group = self.shape.n_heads // self.shape.n_kv_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=bias is None)
        return self.o(out.transpose(1, 2).reshape(batch, n_tokens, -1))


class FeedForward(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.gate = nn.Linear(shape.d_model, shape.d_ff, bias=False)
        self.up = nn.Linear(shape.d_model, shape.d_ff, bias=False)
        self.down = nn.Linear(shape.d_ff, shape.d_model, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Layer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.attn_norm, self.attn = RMSNorm(shape), Attention(shape)
        self.ffn_norm, self.ffn = RMSNorm(shape), FeedForward(shape)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x, angles, bias, at=...):
        """at: the index of the positions that are wanted, where others need not be computed to the end."""
        x = (x + self.dropout(self.attn(self.attn_norm(x), angles, bias)))[at]
        return x + self.dropout(self.ffn(self.ffn_norm(x)))


class Transformer(nn.Module):
    """forward(ids [batch, n_tokens]) -> hidden states [batch, n_tokens, d_model]; head(x) -> logits [.., n_vocab]."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.n_vocab, shape.d_model)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.n_layers))
        self.norm = RMSNorm(shape)
        self.dropout = nn.Dropout(shape.dropout)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)
        for layer in self.layers:  # GPT-2's: what is added to the residual stream starts small
            for last in (layer.attn.o, layer.ffn.down):
                nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * shape.n_layers))
        if shape.position == "learned":  # last, so that the other weights start equal for every position coding
            self.begin_positions()

    def begin_positions(self):
        """Learned positions begin as sinusoids (Vaswani et al. 2017, section 3.5) in the first 2 N_WAVES channels, which all that
        needs no position can learn to leave alone; and there the queries of a KV group begin as the keys of 0, 1, 3, ... tokens
        before (a head each), so that heads are near-sighted from the start, as ALiBi's are."""
        shape = self.shape
        self.positions = nn.Embedding(shape.n_ctx, shape.d_model)
        nn.init.zeros_(self.positions.weight)
        frequencies = (math.pi / shape.n_ctx) ** torch.linspace(0, 1, N_WAVES)  # from 1 to one turn in 2 n_ctx
        angles = torch.arange(float(shape.n_ctx))[:, None] * frequencies
        self.positions.weight.data[:, :2 * N_WAVES] = 0.08 * torch.cat((angles.sin(), angles.cos()), -1)
        for layer in self.layers:
            heads = layer.attn.q.weight.data.view(shape.n_kv_heads, -1, shape.head_dim, shape.d_model)
            keys = layer.attn.k.weight.data.view(shape.n_kv_heads, shape.head_dim, shape.d_model)
            keys[..., :2 * N_WAVES].normal_(std=0.2)
            of_sin, of_cos = keys[..., :N_WAVES], keys[..., N_WAVES:2 * N_WAVES]
            for head in range(heads.shape[1]):
                cos, sin = angles[2 ** head - 1].cos(), angles[2 ** head - 1].sin()
                heads[:, head, :, :N_WAVES] = of_sin * cos + of_cos * sin
                heads[:, head, :, N_WAVES:2 * N_WAVES] = of_cos * cos - of_sin * sin

    def forward(self, ids):
        return self.upper(self.lower(ids))

    def lower(self, ids, at=...):
        """[batch, n_tokens, d_model] that half of the layers leave, or of that what is at an index."""
        x = self.embedding(ids)
        if self.shape.position == "learned":
            x = x + self.positions.weight[:ids.shape[1]]
        return self.through(self.layers[:self.shape.n_layers // 2], self.dropout(x), at)

    def upper(self, x, at=...):
        """What the other half makes of it, there."""
        return self.norm(self.through(self.layers[self.shape.n_layers // 2:], x, at))

    def through(self, layers, x, at):
        n_tokens, device = x.shape[1], x.device
        angles = rope_angles(self.shape, n_tokens, device) if self.shape.position == "rope" else None
        bias = self.alibi(n_tokens, device) if self.shape.position == "alibi" else None
        for layer in layers[:-1]:
            x = layer(x, angles, bias)
        return layers[-1](x, angles, bias, at)

    def head(self, x):
        return F.linear(x, self.embedding.weight)

    def alibi(self, n_tokens, device):
        """[1, n_heads, n_tokens, n_tokens]: -slope * (i - j), minus infinity for later keys."""
        at = torch.arange(n_tokens, device=device)
        distance = at[:, None] - at[None, :]
        slopes = alibi_slopes(self.shape.n_heads, self.shape.alibi_max_bias).to(device)
        bias = -slopes[:, None, None] * distance
        return bias.masked_fill(distance < 0, -math.inf)[None]

    def n_parameters(self):
        return sum(parameter.numel() for parameter in self.parameters())


class Guide(nn.Module):
    """Which fact the coming answer is, from the hidden state [n, d_model] before its first token, half way up: trained beside
    the model so that this state says it to all tokens of the answer, and left behind."""

    def __init__(self, shape, n_facts):
        super().__init__()
        self.norm = RMSNorm(shape)
        self.out = nn.Linear(shape.d_model, n_facts, bias=False)
        nn.init.normal_(self.out.weight, std=0.02)

    def forward(self, x):
        return self.out(self.norm(x))
