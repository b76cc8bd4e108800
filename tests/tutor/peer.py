"""A stock llama.cpp continues a prompt with a model file as Kvasir does:

  .venv/bin/python tests/tutor/peer.py FILE.gguf [--prompt TEXT] [--peer ../shared/peer/llama_cpp.sh]

Both write 64 tokens greedily. Exit status 0 where the ids are equal up to the first token whose two best probabilities lie
closer than 1e-2 in logits; the largest difference of log-probabilities over the tokens that both wrote is printed.
"""

import argparse
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
N = 64
CLOSE = 1e-2


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def post(port, what, body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{what}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def peer_greedy(script, model, ids):
    """llama.cpp's greedy continuation of ids: [(id, log-probability, gap to the second)]."""
    port = free_port()
    command = [script, "exec", model.parent, "llama-server", "-m", model, "-dev", "none", "-ngl", "0", "-t", "1", "--host",
               "127.0.0.1", "--port", str(port), "--no-webui", "-ctk", "f32", "-ctv", "f32", "--parallel", "1"]
    with tempfile.TemporaryFile() as log, subprocess.Popen(
            [str(c) for c in command], stdout=log, stderr=log, start_new_session=True) as server:
        try:
            for _ in range(120):
                try:
                    found = post(port, "completion", {"prompt": ids, "n_predict": N, "temperature": 0, "n_probs": 2, "seed": 1,
                                                      "repeat_penalty": 1.0, "cache_prompt": False, "ignore_eos": False})
                    break
                except (urllib.error.URLError, ConnectionError):  # not up yet, or loading
                    if server.poll() is not None:
                        log.seek(0)
                        sys.exit("llama.cpp refuses the file: " + log.read().decode(errors="replace")[-600:])
                    time.sleep(1)
            else:
                sys.exit("llama.cpp's server does not answer")
        finally:
            os.killpg(server.pid, signal.SIGTERM)  # the script, and the server that it started
    steps = [(step["id"], step["logprob"], [top["logprob"] for top in step["top_logprobs"]])
             for step in found["completion_probabilities"]]
    return [(i, logprob, tops[0] - tops[1]) for i, logprob, tops in steps]


def kvasir_json(binary, *arguments):
    done = subprocess.run([str(a) for a in (binary, *arguments)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def kvasir_log_probabilities(binary, model, ids, n_vocab):
    """[n, n_vocab] after each id."""
    with tempfile.TemporaryDirectory() as folder:
        ids_file, out = Path(folder) / "ids.txt", Path(folder) / "logits.f32"
        ids_file.write_text(" ".join(map(str, ids)))
        kvasir_json(binary, "score", model, "--ids", ids_file, "--logits", out, "--kv", "f32", "--json")
        logits = np.fromfile(out, "<f4").reshape(len(ids), n_vocab).astype(np.float64)
    return logits - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True)) - logits.max(1, keepdims=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=lambda p: Path(p).resolve())
    parser.add_argument("--prompt", default="<|im_start|>user\nWhat is attention?<|im_end|>\n<|im_start|>assistant\n")
    parser.add_argument("--peer", type=Path, default=ROOT.parent / "shared" / "peer" / "llama_cpp.sh")
    parser.add_argument("--kvasir", type=Path, default=ROOT / "build" / "release" / "kvasir")
    options = parser.parse_args()
    ours = kvasir_json(options.kvasir, "generate", options.model, "--raw", "--greedy", "--json", "--kv", "f32", "-n", N,
                       "--prompt", options.prompt)
    theirs = peer_greedy(options.peer, options.model, ours["prompt_ids"])
    n_vocab = kvasir_json(options.kvasir, "inspect", options.model, "--json")["n_vocab"]
    together = ours["prompt_ids"] + [i for i, _, _ in theirs]
    table = kvasir_log_probabilities(options.kvasir, options.model, together, n_vocab)
    at = len(ours["prompt_ids"]) - 1
    if ours["stopped"] == "end" and len(ours["ids"]) < len(theirs):  # llama.cpp lists the end token, Kvasir does not
        ours["ids"].append(int(table[at + len(ours["ids"])].argmax()))
    worst = max(abs(table[at + k, i] - logprob) for k, (i, logprob, _) in enumerate(theirs))
    equal = 0
    while equal < min(len(theirs), len(ours["ids"])) and theirs[equal][0] == ours["ids"][equal]:
        equal += 1
    done = equal == max(len(theirs), len(ours["ids"]))
    gap = math.inf if done or equal == len(theirs) else theirs[equal][2]
    print(f"{options.model.name}: {equal} of {len(theirs)} greedy ids equal" + ("" if done else f", then a gap of {gap:.4f}") +
          f"; log-probabilities differ by {worst:.1e} at most")
    return 0 if done or gap < CLOSE else 1


if __name__ == "__main__":
    sys.exit(main())
