"""What the environment lacks for a pipeline file: said at start, not when the first build fails."""

from __future__ import annotations

import os
from collections.abc import Iterator

from config.configuration import Configuration
from config.environment import PREFIX, TOKEN_PREFIX
from config.errors import SettingsError, nearest
from config.model import Report
from config.settings import SECRETS, Settings

#: Variables that the Procfile and the launcher read before there are settings.
LAUNCH = ("REDIS_BINARY", "REDIS_FSYNC", "WEB_WORKERS", "WORKERS", "WORKER_THREADS")
#: Variables that only the command line reads: where the server is, and a person's own token.
PERSONAL = ("URL", "TOKEN", "TOKEN_FILE")


def lacking(configuration: Configuration, settings: Settings) -> Iterator[str]:
    """One sentence for each thing that the pipeline file needs from the environment and that is not there."""
    for controller in configuration.controllers.values():
        try:
            settings.jenkins_token(controller.name)
        except SettingsError as error:
            yield from error.sentences
        if controller.ca_bundle is not None and not controller.ca_bundle.is_file():
            yield f"controller `{controller.name}`: there is no file `{controller.ca_bundle}` (ca_bundle)"
    if configuration.github.report is Report.CHECKS and settings.github_app_id is None:
        yield f"`github: report: checks` takes a GitHub App: {PREFIX}GITHUB_APP_ID is not set; or report `statuses`"
    for channel, _ in configuration.notify.channels:
        if channel not in settings.notify_urls:
            meant = nearest(channel, settings.notify_urls)
            hint = f"; is `{meant}` meant for it?" if meant else ""
            yield f"{PREFIX}NOTIFY_URLS has no address for channel `{channel}`; expected `{channel}=...`{hint}"


def unknown() -> Iterator[str]:
    """One sentence for each INTERLOCK_ variable that nothing reads, perhaps misspelt."""
    names = [name.upper() for name in Settings.model_fields if name != "jenkins_tokens"]
    names += [f"{name.upper()}_FILE" for name in sorted(SECRETS - {"jenkins_tokens"})]
    names += (*LAUNCH, *PERSONAL)
    for variable in sorted(os.environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in names or variable.startswith(TOKEN_PREFIX):
            continue
        meant = nearest(name, names)
        yield f"{variable} is not known" + (f"; did you mean `{PREFIX}{meant}`?" if meant else "")
