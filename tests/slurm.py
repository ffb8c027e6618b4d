"""A real Slurm on loopback: munged, slurmctld and one slurmd a virtual node, all of it within one folder.

`with installed(folder) as programs` finds Slurm on PATH, or unpacks Debian's packages into the folder, without root.
Every daemon is a child in the foreground, which ends with the process that started it.
"""

import ctypes
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
DAEMONS = ("munged", "slurmctld", "slurmd", "slurmstepd")
COMMANDS = ("sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
PATIENCE_S = 180.0  # for anything that a Slurm does at once, on a busy machine too
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class NoSlurmError(RuntimeError):
    """Slurm is not on PATH, and Debian's packages cannot be had."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths of Slurm's programs by name, its plug-ins' folder, and the environment that they need."""

    paths: Mapping[str, Path]
    plugins: Path | None
    environment: Mapping[str, str]


def programs(folder: Path) -> Programs:
    """Slurm as found on PATH, else unpacked into a folder. Raises NoSlurmError."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = {name: shutil.which(name, path=path) for name in (*DAEMONS, *COMMANDS)}
    if all(found.values()):
        return Programs({name: Path(str(where)) for name, where in found.items()}, None, {})
    _unpack(folder)
    library = folder / "usr/lib" / f"{platform.machine()}-linux-gnu"
    daemons = {name: folder / "usr/sbin" / (name if name == "munged" else f"{name}-wlm") for name in DAEMONS}
    commands = {name: folder / "usr/bin" / name for name in COMMANDS}
    environment = {
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, (library, library / "slurm-wlm"))),
        "PATH": os.pathsep.join([str(folder / "usr/bin"), os.environ.get("PATH", "")]),
    }
    return Programs({**daemons, **commands}, library / "slurm-wlm", environment)


def _unpack(folder: Path) -> None:
    """Debian's packages and those they need that are not installed. Raises NoSlurmError."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise NoSlurmError("neither Slurm nor apt-get is on PATH")
    state = folder / "apt"
    (state / "lists/partial").mkdir(parents=True)
    own = [f"-oDir::State::lists={state / 'lists'}", f"-oDir::Cache={state}", "-oAPT::Sandbox::User="]
    try:
        for options in ([], own):  # a fresh image has no lists of packages
            if options:
                _apt(["update", "-qq", *options], state)
            listed = _apt(["install", "-s", "--no-install-recommends", *PACKAGES, *options], state)
            needed = [line.split()[1] for line in listed.splitlines() if line.startswith("Inst ")]
            if needed:
                _apt(["download", "-qq", *own[2:], *options, *needed], state)
                break
    except subprocess.SubprocessError as error:
        raise NoSlurmError(f"Debian's packages of Slurm cannot be had ({error})") from None
    archives = sorted(state.glob("*.deb"))
    if not archives:
        raise NoSlurmError("apt-get knows no packages of Slurm")
    for archive in archives:
        subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)


def _apt(arguments: Sequence[str], cwd: Path) -> str:
    done = subprocess.run(
        ["apt-get", *arguments], cwd=cwd, capture_output=True, encoding="utf-8", check=False, timeout=PATIENCE_S
    )
    return done.stdout if done.returncode == 0 else ""


CONFIGURATION = """\
ClusterName=siku
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/spool.%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
{plugins}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_min_interval=0,bf_interval=1,sched_interval=1,batch_sched_delay=0,requeue_delay=1
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=3600
MaxArraySize={array}
ReturnToService=2
KillWait=5
BatchStartTimeout=10
CompleteWait=0
SlurmdTimeout=10
SlurmctldTimeout=30
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
"""


@dataclass
class Slurm:
    """A running Slurm: `environment` is what its commands, and those that call them, need."""

    folder: Path
    programs: Programs
    nodes: Sequence[str]
    environment: Mapping[str, str]
    stack: ExitStack

    def ask(self, program: str, *arguments: str) -> str:
        """What a command of Slurm prints."""
        return subprocess.run(
            [str(self.programs.paths[program]), *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout

    def jobs(self) -> list[dict[str, str]]:
        """Every job and array task that the controller remembers, as `scontrol` tells of it."""
        lines = self.ask("scontrol", "show", "job", "-o", "-a").splitlines()
        told = [dict(word.partition("=")[::2] for word in line.split()) for line in lines]
        return [each for each in told if "JobId" in each]

    def states(self) -> dict[str, str]:
        """State of every job by its name, and by `name[task]` of an array."""
        return {
            each["JobName"] + (f"[{each['ArrayTaskId']}]" if "ArrayTaskId" in each else ""): each["JobState"]
            for each in self.jobs()
        }

    def settle(self, done: Callable[[], bool], patience: float = PATIENCE_S) -> None:
        """Until something holds. Raises TimeoutError with the queue as it is."""
        end = time.monotonic() + patience
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(self.ask("squeue", "-o", "%i %j %T %r"))
            time.sleep(0.2)

    def idle(self) -> bool:
        """Whether no job is queued or running; one whose dependency failed does not count."""
        lines = self.ask("squeue", "-h", "-o", "%T %r").splitlines()
        return all(line == "PENDING DependencyNeverSatisfied" for line in lines)

    def node(self, name: str) -> subprocess.Popen[bytes]:
        """Start the daemon of a node."""
        stepd = ["-d", str(self.programs.paths["slurmstepd"])]
        return self.daemon("slurmd", "-D", "-N", name, "-f", str(self.folder / "slurm.conf"), *stepd)

    def daemon(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a daemon as a child, which ends with this process, or with the fixture."""
        with (self.folder / "daemons.log").open("ab") as log:
            process = subprocess.Popen(
                [str(self.programs.paths[name]), *arguments],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call of the kernel
            )
        self.stack.callback(_end, process)
        return process


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]


def _write(folder: Path, nodes: Sequence[str], cpus: int, array: int, plugins: Path | None) -> None:
    ports, host = _free_ports(len(nodes) + 1), socket.gethostname().partition(".")[0]
    user = subprocess.run(["id", "-un"], capture_output=True, encoding="utf-8", check=True).stdout.strip()
    directory = f"PluginDir={plugins}" if plugins else ""
    text = CONFIGURATION.format(folder=folder, host=host, ports=ports, user=user, array=array, plugins=directory)
    for name, port in zip(nodes, ports[1:], strict=True):
        (folder / f"spool.{name}").mkdir()
        text += f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory=4000\n"
    listed = ",".join(nodes)
    text += f"PartitionName=main Nodes={listed} Default=YES PriorityTier=10 PreemptMode=REQUEUE GraceTime=20\n"
    text += f"PartitionName=high Nodes={listed} PriorityTier=100 PreemptMode=OFF\n"
    (folder / "slurm.conf").write_text(text)
    (folder / "state").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)


@contextmanager
def slurm(
    folder: Path, programs: Programs, *, nodes: Sequence[str] = ("node1", "node2"), cpus: int = 4, array: int = 5
) -> Iterator[Slurm]:
    """Nodes that are up, of `cpus` declared processors each; arrays have fewer than `array` tasks."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    _write(folder, nodes, cpus, array, programs.plugins)
    environment = {**programs.environment, "SLURM_CONF": str(folder / "slurm.conf")}
    with ExitStack() as stack:
        made = Slurm(folder, programs, nodes, environment, stack)
        names = (
            "key-file=munge.key",
            "socket=munge.sock",
            "pid-file=munge.pid",
            "log-file=munge.log",
            "seed-file=seed",
        )
        munge = [f"--{option}={folder / file}" for option, _, file in (name.partition("=") for name in names)]
        made.daemon("munged", "--foreground", "--force", "--num-threads=1", *munge)
        made.settle((folder / "munge.sock").exists)
        made.daemon("slurmctld", "-D", "-f", str(folder / "slurm.conf"))
        for name in nodes:
            made.node(name)
        try:
            made.settle(lambda: _all_idle(made))
        except TimeoutError:
            sys.stderr.write((folder / "daemons.log").read_text()[-4000:])
            raise
        try:
            yield made
        finally:
            made.ask("scancel", "--full", "--user", str(os.getuid()))
            made.settle(lambda: not made.ask("squeue", "-h"), 20)


def _all_idle(made: Slurm) -> bool:
    try:
        states = made.ask("sinfo", "-h", "-N", "-p", "main", "-o", "%T").split()
    except subprocess.CalledProcessError:  # the controller is not up yet
        return False
    return states == ["idle"] * len(made.nodes)
