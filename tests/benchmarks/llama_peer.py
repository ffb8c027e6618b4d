"""The peer of `tests.benchmarks.train`: transformers' LlamaForCausalLM in a plain loop, `python -m ... SETTINGS.json`.

A line a step: CPU seconds of this process so far. Attention is torch's sdpa, the optimizer torch's fused AdamW.
"""

import contextlib
import json
import sys
import time
from pathlib import Path


def main(path: str) -> int:
    """Train as the settings say."""
    settings = json.loads(Path(path).read_text())
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(settings["threads"])
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(**settings["config"], attn_implementation="sdpa"))
    if settings["mode"] == "bf16":
        model = model.bfloat16()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    cast = torch.autocast("cpu", torch.bfloat16) if settings["mode"] == "autocast" else contextlib.nullcontext()
    size, length = settings["micro_batch"], settings["length"]
    generator = torch.Generator().manual_seed(2)
    for _ in range(settings["steps"]):
        optimizer.zero_grad(set_to_none=True)
        count = settings["global_batch"] // size
        for _ in range(count):
            tokens = torch.randint(settings["config"]["vocab_size"], (size, length), generator=generator)
            with cast:
                loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
            (loss / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        print(time.process_time(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
