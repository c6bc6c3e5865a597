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
from queue import Empty
from urllib.parse import quote

from amqp.exceptions import AMQPError
from celery import Celery

from chaos.sentinels import HOST, until
from config import broker
from config.broker import TURNS
from launch.process import private_port
from tests.failover.engines import program
from tests.workers.tls import certificate

#: The programs themselves: Debian's /usr/sbin/rabbitmq-server changes to a user of its own.
LIBRARY = Path("/usr/lib/rabbitmq/bin")
VHOST = "interlock"


@dataclass
class Rabbit:
    """A context manager: the server, with a user and a virtual host that are Interlock's."""

    folder: Path
    password: str = field(default_factory=lambda: secrets.token_hex(8) + "@/:%")
    port: int = field(default_factory=private_port)
    #: Where it speaks TLS.
    tls_port: int = field(default_factory=private_port)
    process: subprocess.Popen[bytes] | None = None
    #: Where Erlang's processes find each other. Without one RabbitMQ would start it, and leave it behind.
    _epmd: subprocess.Popen[bytes] | None = None
    _env: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address as the settings take it."""
        return f"amqp://interlock:{quote(self.password, safe='')}@{HOST}:{self.port}/{VHOST}"

    @property
    def tls_url(self) -> str:
        """The same over TLS."""
        who = f"interlock:{quote(self.password, safe='')}"
        return f"amqps://{who}@{HOST}:{self.tls_port}/{VHOST}?ssl_ca_certs={self._certificate}"

    @property
    def _certificate(self) -> Path:
        return self.folder / f"certificate-{HOST}-2.pem"

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
        """Start it, with what it has stored; it takes some seconds until it answers."""
        with (self.folder / "rabbit.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(LIBRARY / "rabbitmq-server")], env=self._env, stdout=log, stderr=log, start_new_session=True
            )

    def until_up(self) -> None:
        """Wait until it lets us in."""
        until(self.answers, "RabbitMQ answers", 120)

    def kill(self) -> None:
        """Kill it and all its children, at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None

    def signal(self, number: int) -> None:
        """Send a signal to it and all its children."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def answers(self, url: str = "") -> bool:
        """Return whether it lets us in, at this address or its own."""
        try:
            with self._app(url).connection_for_write() as connection:
                connection.connect()
                return True
        except (OSError, AMQPError):
            return False

    def take(self) -> str:
        """Take a wake-up: the pipeline that it names; empty if none comes within a second."""
        app = self._app()
        with app.connection_for_read() as connection:
            queue = connection.SimpleQueue(app.amqp.queues[TURNS])
            try:
                message = queue.get(timeout=1)
            except Empty:
                return ""
            message.ack()
            return str(message.payload[0][0])

    def _app(self, url: str = "") -> Celery:
        app = Celery("test", set_as_current=False)
        app.conf.update(broker.settings(url or self.url))
        return app

    def _prepare(self) -> None:
        """Its files; and all of its ports are its own: another RabbitMQ of this machine is left alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = certificate(self.folder, HOST, 2)
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
            f"listeners.ssl.default = {HOST}:{self.tls_port}\nssl_options.verify = verify_none\n"
            f"ssl_options.cacertfile = {made}\nssl_options.certfile = {made}\nssl_options.keyfile = {made}\n"
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
