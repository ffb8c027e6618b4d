"""One world, many jobs: `python -m tests.pretrain.many [--record] JOB.json...` trains each to its end.

Every job needs as many ranks as the world has; without a launcher's environment that is one. `--record` writes
`JOB.json.<rank>`: the random state at every draw of dropout, by what draws, and how often each layer was computed.
"""

import functools
import hashlib
import json
import os
import sys
import warnings
from collections import Counter
from datetime import timedelta
from pathlib import Path

from pretrain import train as entry
from pretrain.job import TrainJob, read_job
from pretrain.parallel.launch import die_with_parent


class Record:
    """What the last job did; `install` once a process."""

    def __init__(self) -> None:
        self.draws: dict[str, list[str]] = {"attention": [], "hidden": []}
        self.calls: Counter[str] = Counter()

    def install(self) -> None:
        import torch
        from megatron.core.transformer.mlp import MLP

        from pretrain.models.attention import CausalAttention

        functional = torch.nn.functional
        for module, name, kind in (
            (functional, "dropout", "hidden"),
            (functional, "scaled_dot_product_attention", "attention"),
        ):
            setattr(module, name, self._drawing(getattr(module, name), kind))
        for kind, name in ((CausalAttention, "attention"), (MLP, "feed_forward")):
            kind.forward = self._counting(kind.forward, name)

    def _drawing(self, original, kind: str):
        import torch

        @functools.wraps(original)
        def wrapped(*arguments, **named):
            share = (
                named["dropout_p" if kind == "attention" else "p"]
                if len(arguments) < 2 or kind == "attention"
                else arguments[1]
            )
            if share > 0:
                state = torch.get_rng_state().numpy().tobytes()
                self.draws[kind].append(hashlib.sha256(state).hexdigest()[:12])
            return original(*arguments, **named)

        return wrapped

    def _counting(self, original, name: str):
        @functools.wraps(original)
        def wrapped(*arguments, **named):
            self.calls[name] += 1
            return original(*arguments, **named)

        return wrapped

    def flush(self, path: Path) -> None:
        path.write_text(json.dumps({"draws": self.draws, "calls": dict(self.calls)}))
        self.__init__()  # type: ignore[misc]


def main(arguments: list[str]) -> int:
    """The first status that is not 0, or 0."""
    record = Record() if arguments[0] == "--record" else None
    sys.excepthook = entry.fail
    die_with_parent()
    warnings.filterwarnings("ignore", module=r"megatron\.|torch\.distributed")
    import torch.distributed as dist

    from pretrain.parallel import mesh, platform

    platform.install = functools.cache(platform.install)  # once a process
    platform.install(platform.detect("cpu"))
    if record is not None:
        record.install()
    store = mesh.rendezvous(timedelta(seconds=60))
    for number, path in enumerate(arguments[record is not None :]):
        mesh.rendezvous = lambda _, prefix=f"job {number}": dist.PrefixStore(prefix, store)
        if status := entry.run_rank(read_job(Path(path), TrainJob)):
            return status
        if record is not None:
            record.flush(Path(f"{path}.{os.environ.get('RANK', '0')}"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
