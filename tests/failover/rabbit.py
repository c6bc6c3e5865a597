"""RabbitMQ on loopback: one server, which is killed and started again."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from amqp.exceptions import AMQPError
from celery import Celery

from chaos.sentinels import HOST, until
from config import broker
from launch.process import private_port
from tests.failover.engines import program

#: The programs themselves: Debian's /usr/sbin/rabbitmq-server changes to a user of its own.
LIBRARY = Path("/usr/lib/rabbitmq/bin")
VHOST = "interlock"


@dataclass
class Rabbit:
    """A context manager: the server, with a user and a virtual host that are Interlock's."""

    folder: Path
    password: str = field(default_factory=lambda: secrets.token_hex(8) + "@/:%")
    port: int = field(default_factory=private_port)
    process: subprocess.Popen[bytes] | None = None
    #: Where Erlang's processes find each other. Without one RabbitMQ would start it, and leave it behind.
    _epmd: subprocess.Popen[bytes] | None = None
    _env: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address as the settings take it."""
        return f"amqp://interlock:{quote(self.password, safe='')}@{HOST}:{self.port}/{VHOST}"

    def __enter__(self) -> Rabbit:
        program("rabbitmq-server")
        self._prepare()
        self._epmd = subprocess.Popen(["epmd"], env=self._env)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait(10)

    def start(self) -> None:
        """Start it, with what it has stored."""
        with (self.folder / "rabbit.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(LIBRARY / "rabbitmq-server")], env=self._env, stdout=log, stderr=log, start_new_session=True
            )
        until(self.answers, "RabbitMQ answers", 60)

    def kill(self) -> None:
        """Kill it and all its children, at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None

    def answers(self) -> bool:
        """Whether it lets us in."""
        app = Celery("test", set_as_current=False)
        app.conf.update(broker.settings(self.url))
        try:
            with app.connection_for_write() as connection:
                connection.connect()
                return True
        except (OSError, AMQPError):
            return False

    def _prepare(self) -> None:
        """Its files; and all of its ports are its own: another RabbitMQ of this machine is left alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        definitions = self.folder / "definitions.json"
        named = {"user": "interlock", "vhost": VHOST}
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        definitions.write_text(
            json.dumps(
                {
                    "users": [{"name": "interlock", "password": self.password, "tags": ""}],
                    "vhosts": [{"name": VHOST}],
                    "permissions": [{**named, **everything}],
                }
            )
        )
        configuration = self.folder / "rabbitmq.conf"
        configuration.write_text(
            f"listeners.tcp.default = {HOST}:{self.port}\nload_definitions = {definitions}\n"
            "log.console = true\nlog.console.level = warning\n"
        )
        plugins = self.folder / "enabled_plugins"
        plugins.write_text("[].\n")
        self._env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"rabbit{self.port}@localhost",
            "RABBITMQ_BASE": str(self.folder),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_DIST_PORT": str(private_port()),
            "ERL_EPMD_PORT": str(private_port()),
            "ERL_EPMD_ADDRESS": HOST,
            # One scheduler: a machine that is shared by many tests has better things to do.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
