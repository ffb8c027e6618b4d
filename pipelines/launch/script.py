"""The text of a job: `#SBATCH` lines that a scheduler reads, and a body that runs under bash alike.

A job that is told to stop (SIGUSR1 before its limit, SIGTERM at preemption) saves and ends with status 85, or with 138
or 143 where the signal came before the processes could take it. Then the script requeues its own job, which keeps the
id, so that what waits for it waits on. Every start leaves a record in `attempts/`, whoever asked for it; that is what
the cap is counted by.
"""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pretrain.job import RESUMABLE

if TYPE_CHECKING:
    from pipelines.graph.where import Cluster, Resources

CHAIN = "SIKU_CHAIN"  # in a job's environment: the folder of the chain that it is part of
AFTER = "SIKU_AFTER"  # in a link's environment: the script it comes after
STOPPED = (RESUMABLE, 128 + 10, 128 + 15)  # statuses of a clean stop, and of SIGUSR1 and SIGTERM before the handlers
ATTEMPTS = "attempts"
CANCELLED = "cancelled"  # in a chain's folder: what is stopped now was not meant to go on
SIKU = (sys.executable, "-P", "-m", "pipelines.cli.main")


@dataclass(frozen=True, slots=True)
class Script:
    """One job: a link of the chain, the training, or `tasks` shares of a phase."""

    name: str  # `03-dedupe.edges`
    body: str
    resources: "Resources"
    tasks: int = 0  # 0: not an array
    nodes: int = 1
    ranks: int = 1  # processes a node

    @property
    def label(self) -> str:
        """What it does, whichever time."""
        return self.name.partition("-")[2]


def link(command: Sequence[str], after: str) -> str:
    """The body of a link: the run's own command, after the script that it waited for, if any."""
    return f"export {AFTER}={shlex.quote(after)}\nrun {shlex.join([*SIKU, *command[1:]])}; status=$?\n"


def shares(plan: Path, tasks: int) -> str:
    """The body of a phase: under Slurm one share, under bash all in turn, to the first that fails."""
    one = f"{shlex.join([*SIKU, 'work', str(plan)])} --index $index --of {tasks}"
    return f"""\
if [ -n "$job" ]; then
  run {one}; status=$?
else
  for index in $(seq 0 {tasks - 1}); do {one} || {{ status=$?; break; }}; done
fi
"""


def training(command: Sequence[str]) -> str:
    """The body of a training: under Slurm a process a task, which meet at the first node; under bash the launcher's.

    Names of nodes need not be known to DNS: the address is what Slurm itself reaches the node by.
    """
    return f"""\
if [ -n "$job" ]; then
  head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
  MASTER_ADDR=$(scontrol show node -o "$head" | sed -n 's/.* NodeAddr=\\([^ ]*\\).*/\\1/p')
  export MASTER_ADDR MASTER_PORT=$((20000 + (SLURM_JOB_ID * 7 + attempt) % 12000))
  run bash -c 'RANK=$SLURM_PROCID WORLD_SIZE=$SLURM_NTASKS LOCAL_RANK=$SLURM_LOCALID exec "$@"' rank \\
    {shlex.join(command)}; status=$?
else
  {shlex.join(command)}; status=$?
fi
"""


def text(script: Script, cluster: "Cluster", folder: Path, run: str) -> str:
    """The whole script, which lies in `folder` as `<name>.sh`."""
    head = "".join(f"#SBATCH --{name}{f'={shlex.quote(value)}' if value else ''}\n" for name, value in _options(
        script, cluster, folder, run).items())  # fmt: skip
    again = ""
    if cluster.requeue == "scontrol":
        again = 'scontrol requeue "$job" && sleep 60'  # until it is ended by that
    elif cluster.requeue == "chain" and script.label == "run":
        again = f'env $(compgen -v SLURM_ | sed "/^SLURM_CONF$/d;s/^/-u /") sbatch "${CHAIN}/$name.sh"'
    resumable = "|".join(map(str, STOPPED))
    requeue = (
        f'case $status in {resumable}) [ -z "$job" ] || [ -e "${CHAIN}/{CANCELLED}" ] || {{ {again}; }};; esac\n'
        if again
        else ""
    )
    environment = "".join(f"{line}\n" for line in cluster.environment)
    return f"""\
#!/usr/bin/env bash
{head}# Runs under bash as well, all of it on this machine: bash {folder / script.name}.sh
set -u
cd {shlex.quote(str(Path.cwd()))} || exit 1
{environment}export {CHAIN}={shlex.quote(str(folder))}
name={script.name} job=${{SLURM_JOB_ID:-}} attempt=1 began=$(date +%s)
index=$((${{1:-0}} + ${{SLURM_ARRAY_TASK_ID:-0}}))
record="${CHAIN}/{ATTEMPTS}/$name.$index"
mkdir -p "${CHAIN}/{ATTEMPTS}"
while [ -e "$record.$attempt" ]; do attempt=$((attempt + 1)); done
note() {{  # status of this attempt, null while it runs
  printf '{{"script": "%s", "index": %d, "attempt": %d, "job": "%s", "nodes": "%s", "began": %d, "status": %s}}\\n' \\
    "$name" "$index" "$attempt" "$job" "${{SLURM_JOB_NODELIST:-$(uname -n)}}" "$began" "$1" > "$record.tmp"
  mv "$record.tmp" "$record.$attempt"
}}
if [ -n "$job" ] && [ "$attempt" -gt {cluster.attempts} ]; then
  echo "siku: $name was started {cluster.attempts} times, as often as cluster.attempts allows" >&2
  exit 1
fi
note null
trap : TERM USR1  # the processes save and end; this shell outlives them
run() {{ if [ -n "$job" ]; then srun --kill-on-bad-exit=0 "$@"; else "$@"; fi; }}
status=0
{script.body}note $status
{requeue}exit $status
"""


def _options(script: Script, cluster: "Cluster", folder: Path, run: str) -> Mapping[str, str]:
    """Options of sbatch; an empty value is a flag."""
    asked, each = script.resources, "%A_%a" if script.tasks else "%j"
    options = {
        "job-name": f"siku-{script.name}",
        "comment": f"siku run {run}",
        "output": str(folder / f"{script.name}-{each}.log"),
        "open-mode": "append",
        "nodes": str(script.nodes),
        "ntasks-per-node": str(script.ranks),
        "cpus-per-task": str(asked.cpus),
        "time": str(asked.minutes),
        "signal": f"USR1@{cluster.grace_s}",
        "requeue" if cluster.requeue == "scontrol" else "no-requeue": "",
    }
    chosen = {
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "exclude": cluster.exclude,
        "mem": asked.memory,
        "gpus-per-node": str(asked.gpus or ""),
    }
    return options | {name: value for name, value in chosen.items() if value} | asked.options


def outside(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment without what Slurm told this job of itself: it would be read as options of the next."""
    return {name: value for name, value in environment.items() if not name.startswith("SLURM_") or name == "SLURM_CONF"}
