"""Planted faults, and the test that each turns red: `python -m tests.pretrain.faults [WORD...]` plants and prints.

Each fault is a line of the trainer written otherwise, in a copy of the repository. WORDs choose faults by name.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.pretrain.tools import ROOT


class Fault(NamedTuple):
    """`old` stands once in `file`; with `new` in its place `test` fails."""

    name: str
    file: str
    old: str
    new: str
    test: str


REFERENCE = "test_reference.py::test_the_trainer_is_the_plain_reference"
PARITY = "test_parity.py::test_a_layout_equals_the_plain_reference"
RESHARD = "test_reshard.py::test_any_layout_goes_on_from_any_other"
ADAM = "((True, config.weight_decay), (False, 0.0))"
FAULTS: Sequence[Fault] = (
    Fault(
        "clipping off",
        "engine/step.py",
        "return min(1.0, clip / (figures.grad_norm + CLIP_EPSILON)) / figures.weight",
        "return 1.0 / figures.weight",
        f"{REFERENCE}[clip]",
    ),
    Fault(
        "rate late by a step",
        "trainer.py",
        "learning_rate(job.train, before.tokens + tokens)",
        "learning_rate(job.train, before.tokens)",
        f"{REFERENCE}[schedule]",
    ),
    Fault("decay 0", "engine/rules.py", ADAM, "((True, 0.0), (False, 0.0))", f"{REFERENCE}[decay]"),
    Fault(
        "norms decayed",
        "engine/rules.py",
        ADAM,
        "((True, config.weight_decay), (False, config.weight_decay))",
        f"{REFERENCE}[decay]",
    ),
    Fault(
        "beta2 := beta1",
        "engine/rules.py",
        "betas=(config.beta1, config.beta2)",
        "betas=(config.beta1, config.beta1)",
        f"{REFERENCE}[betas]",
    ),
    Fault("z-loss ignored", "engine/step.py", "                self._z_loss,\n", "", f"{REFERENCE}[z loss]"),
    Fault(
        "ramp ignored",
        "trainer.py",
        "job.train.batch_size(before.tokens)",
        "job.train.global_batch",
        f"{REFERENCE}[ramp]",
    ),
    Fault(
        "Lion steps by its new momentum",
        "engine/rules.py",
        "unit.master.add_(torch.lerp(momentum, gradient, 1 - config.beta1).sign_(), alpha=-rate)\n"
        "            momentum.lerp_(gradient, 1 - config.beta2)",
        "momentum.lerp_(gradient, 1 - config.beta2)\n"
        "            unit.master.add_(torch.lerp(momentum, gradient, 1 - config.beta1).sign_(), alpha=-rate)",
        f"{REFERENCE}[lion]",
    ),
    Fault(
        "the rest at Muon's rate",
        "engine/rules.py",
        'group["lr"] = rate * self._ratio',
        'group["lr"] = rate',
        f"{REFERENCE}[muon spectral]",
    ),
    Fault(
        "Muon on a slice of a matrix",
        "engine/muon.py",
        "if weight.split is not None and self._mesh.layout.tp > 1:",
        "if False:",
        f"{PARITY}[muon tp2 ep2 sp]",
    ),
    Fault(
        "Muon on a replica's share",
        "engine/muon.py",
        "if self._mesh.layout.zero1:",
        "if False:",
        f"{PARITY}[muon dp2 ep2 zero1 overlap]",
    ),
    Fault(
        "a branch reads the trunk's samples again",
        "state/trunk.py",
        "return (replace(at, next_sample=0) if other else at), other",
        "return replace(at, next_sample=0), other",
        "test_trunk.py::test_a_branch_is_the_run_that_had_the_schedule_from_the_beginning",
    ),
    Fault(
        "RoPE base ignored",
        "models/build.py",
        "rotary_base=model.position.base if",
        "rotary_base=10000 if",
        f"{REFERENCE}[rope base]",
    ),
    Fault(
        "residual scale of initial weights removed",
        "config/blueprint.py",
        'scaled = into_residual and init.residual == "depth"',
        "scaled = False",
        "test_reference.py::test_initial_weights_are_as_published",
    ),
    Fault(
        "dropout of the residual off",
        "models/build.py",
        "hidden_dropout=model.block.dropout",
        "hidden_dropout=0.0",
        "test_work.py::test_every_draw_is_another_and_a_resumed_step_draws_as_it_would_have",
    ),
    Fault(
        "dropout of attention off",
        "models/build.py",
        "attention_dropout=attention.dropout",
        "attention_dropout=0.0",
        "test_work.py::test_every_draw_is_another_and_a_resumed_step_draws_as_it_would_have",
    ),
    Fault(
        "dropout equal on replicas",
        "parallel/mesh.py",
        'key = f"siku.dropout:{seed}:{sample}:{mesh.pp}:{mesh.dp}:{mesh.cp}"',
        'key = f"siku.dropout:{seed}:{sample}:{mesh.pp}:{mesh.cp}"',
        "test_work.py::test_replicas_parts_of_a_sequence_and_stages_draw_otherwise[attention-dp2]",
    ),
    Fault(
        "dropout equal on tensor-parallel ranks",
        "models/attention.py",
        "if not self.dropout or self.config.sequence_parallel:",
        "if True:",
        "test_work.py::test_tensor_parallel_ranks_drop_other_heads_and_the_same_of_what_both_hold",
    ),
    Fault(
        "dropout not seeded by the step",
        "trainer.py",
        "seed_dropout(job.train.seed, first, state.mesh)",
        "pass",
        "test_work.py::test_every_draw_is_another_and_a_resumed_step_draws_as_it_would_have",
    ),
    Fault(
        "ZeRO-1 weights not gathered",
        "engine/optimizer.py",
        "each.start_param_sync()",
        "pass",
        f"{PARITY}[dense dp2 zero1]",
    ),
    Fault(
        "ZeRO-1 state at a wrong offset",
        "engine/units.py",
        "cut(self.binding.bands, self.start, self.stop)",
        "cut(self.binding.bands, 0, self.stop - self.start)",
        f"{RESHARD}[tp2 dp2 zero1-one]",
    ),
    Fault(
        "moments not stored",
        "state/saver.py",
        "for kind, tensor in optimizer.tensors(unit).items():\n            for piece",
        "for kind, tensor in list(optimizer.tensors(unit).items())[:1]:\n            for piece",
        f"{RESHARD}[vpp2-one]",
    ),
    Fault(
        "Adam's step lost on resume",
        "state/saver.py",
        "optimizer.set_step(cursor.step)",
        "pass",
        f"{RESHARD}[vpp2-one]",
    ),
    Fault(
        "recompute ignored",
        "models/build.py",
        "        **_recompute(model, layout),\n",
        "",
        "test_work.py::test_what_is_recomputed_is_computed_twice[layer-2-2]",
    ),
    Fault(
        "bf16 without masters",
        "engine/optimizer.py",
        "unit.model.copy_(unit.master)",
        "unit.master.copy_(unit.model.copy_(unit.master))",
        "test_precision.py::test_steps_too_small_for_bf16_are_not_lost",
    ),
    Fault(
        "ranks not compared",
        "train.py",
        "world.compare_ranks(",
        "dict(",
        "test_train.py::test_ranks_with_different_jobs_are_named_before_they_train",
    ),
    Fault(
        "another run's checkpoint accepted",
        "train.py",
        'if found.content["digest"] != job.digest:',
        "if False:",
        "test_train.py::test_another_runs_checkpoint_is_refused",
    ),
    Fault(
        "groups time out while the folder is held",
        "train.py",
        '    with _folder(Path(job.directory), store, int(os.environ.get("RANK", "0"))):\n'
        "        mesh = world.join(job.layout, platform, store)\n",
        "    mesh = world.join(job.layout, platform, store)\n"
        "    with _folder(Path(job.directory), store, 0) if not mesh.rank else Path():\n",
        "test_train.py::test_waiting_for_the_folder_kills_no_group",
    ),
    Fault(
        "sends not cloned",
        "parallel/platform.py",
        "dist.isend(tensor_send_next.detach().clone(), next",
        "dist.isend(tensor_send_next.detach(), next",
        "test_platform.py::test_pipeline_sends_are_copies_with_a_tag_a_direction",
    ),
    Fault(
        "one tag for both directions",
        "parallel/platform.py",
        "dist.isend(tensor_send_prev.detach().clone(), prev_pipeline_rank, group, tag=2)",
        "dist.isend(tensor_send_prev.detach().clone(), prev_pipeline_rank, group, tag=1)",
        f"{PARITY}[dense pp2 vpp2]",
    ),
    Fault(
        "a norm counts on every tensor-parallel rank",
        "engine/units.py",
        "one_of_many = binding.copy or (binding.whole and mesh.tp > 0)",
        "one_of_many = binding.copy",
        f"{PARITY}[dense tp2]",
    ),
    Fault(
        "a tied embedding counts on both stages",
        "engine/units.py",
        "one_of_many = binding.copy or (binding.whole and mesh.tp > 0)",
        "one_of_many = binding.whole and mesh.tp > 0",
        f"{PARITY}[dense pp2]",
    ),
    Fault(
        "balance loss by the part of a sequence",
        "models/build.py",
        "part.balance * layout.micro_batch * parts_of_sequence",
        "part.balance",
        f"{PARITY}[experts cp2 ep2]",
    ),
    Fault(
        "padding in the softmax",
        "objectives/cross_entropy.py",
        "return Vocabulary(rank * each, min(max(size - rank * each, 0), each), group if ranks > 1 else None)",
        "return Vocabulary(rank * each, each, group if ranks > 1 else None)",
        f"{REFERENCE}[plain]",
    ),
    Fault(
        "a gradient that is no number is applied",
        "engine/spikes.py",
        "return NOT_FINITE, math.inf",
        'return "", 0.0',
        "test_train.py::test_a_gradient_that_is_no_number_never_reaches_the_weights",
    ),
    Fault(
        "a spike reaches the weights",
        "engine/spikes.py",
        "if found[reason] > self._healing.threshold else",
        "if found[reason] > math.inf else",
        "test_healing.py::test_a_poisoned_batch_is_passed_over_and_its_documents_are_named[one]",
    ),
    Fault(
        "nats of a replica's samples at another's place",
        "engine/step.py",
        "whole[begin - first : end - first, self._positions]",
        "whole[: end - begin, self._positions]",
        "test_healing.py::test_a_poisoned_batch_is_passed_over_and_its_documents_are_named[dp2 zero1]",
    ),
    Fault(
        "documents judged by the token before",
        "engine/suspects.py",
        "max(begin, 1) - 1 : end - 1]",
        "begin:end]",
        "test_healing.py::test_suspects_are_those_beyond_chance_even_where_they_are_most",
    ),
    Fault(
        "a checkpoint of ruined weights stays",
        "engine/healing.py",
        "trajectory.remove_after(Path(job.directory), target)",
        "pass",
        "test_train.py::test_ruined_weights_are_gone_back_from_and_the_samples_since_are_passed_over",
    ),
    Fault(
        "a hanging rank is not named",
        "train.py",
        "with watched(mesh):",
        "with _folder(Path(job.directory), store, 1):",
        "test_train.py::test_a_hanging_rank_is_named_with_the_operation_that_waits_for_it",
    ),
    Fault(
        "a stop killed after a minute",
        "parallel/launch.py",
        'return max(_LEAST_GRACE_S, float(path.read_text(encoding="utf-8")) if path.exists() else 0.0)',
        "return _LEAST_GRACE_S",
        "test_launch.py::test_a_stop_may_take_as_long_as_the_ranks_say[600.0-85]",
    ),
)


def copy(folder: Path) -> None:
    """The repository as it is now."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def plant(fault: Fault, folder: Path) -> str:
    """How the test ends in a copy of the repository with the fault in it: `red`, `green`, or what went wrong."""
    path = folder / "pretrain" / fault.file
    sound = path.read_text()
    path.write_text(sound.replace(fault.old, fault.new))
    command = [sys.executable, "-m", "pytest", "-q", "-x", f"tests/pretrain/{fault.test}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    path.write_text(sound)
    return {0: "green", 1: "red"}.get(done.returncode, done.stdout[-500:])


def main(words: Sequence[str]) -> int:
    """Print the table; 1 where a fault leaves its test green."""
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        copy(Path(folder))
        for fault in chosen:
            found = plant(fault, Path(folder))
            missed += [fault.name] if found != "red" else []
            print(f"{fault.name:48} {found:6} {fault.test}", flush=True)
    print(f"{len(chosen)} faults, {len(missed)} not seen: {', '.join(missed) or 'none'}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
