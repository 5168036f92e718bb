"""A PostgreSQL server for tests: in a folder of its own, reached by a socket there."""

import contextlib
import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import time


def unprivileged_user():
    """Who runs the server, which refuses to run as root; None: whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("there is neither a user postgres nor a user nobody")


class Postgres:
    """As a context; `url` is that of an empty database."""

    def __init__(self):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        if not programs:
            raise AssertionError("there is no /usr/lib/postgresql/*/bin/initdb: install the package postgresql")
        self.programs = os.path.dirname(programs[-1])
        self.user = unprivileged_user()
        self.folder = tempfile.mkdtemp(prefix="lockstep-postgres-")
        self.log = open(os.path.join(self.folder, "log"), "ab")
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.data = os.path.join(self.folder, "data")
        self.url = f"postgresql://postgres@/postgres?host={self.folder}"
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        self.process = self.start("postgres", "-D", self.data, "-k", self.folder, "-c", "listen_addresses=", "-c", "fsync=off")
        deadline = time.monotonic() + 30
        while subprocess.run([self.program("pg_isready"), "-q", "-h", self.folder, "-U", "postgres"]).returncode:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError("the PostgreSQL server does not start:\n" + open(self.log.name).read())
            time.sleep(0.05)

    def program(self, name):
        return os.path.join(self.programs, name)

    def start(self, name, *arguments):
        user = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        return subprocess.Popen([self.program(name), *arguments], cwd="/", stdin=subprocess.DEVNULL, stdout=self.log,
                                stderr=self.log, **user)

    def run(self, name, *arguments):
        if self.start(name, *arguments).wait():
            raise AssertionError(f"{name} fails:\n" + open(self.log.name).read())

    def query(self, sql):
        """Rows of texts."""
        done = subprocess.run([self.program("psql"), "-h", self.folder, "-U", "postgres", "-At", "-F", "\t", "-c", sql],
                              check=True, capture_output=True, text=True)
        return [tuple(row.split("\t")) for row in done.stdout.splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(2)  # SIGINT: at once, but in order
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
