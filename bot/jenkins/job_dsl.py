"""The jobs as a Job DSL script (Jenkins job-dsl plugin), for a seed job or Configuration as Code."""

from __future__ import annotations

from bot.jenkins.jenkinsfile import script
from bot.jenkins.job_plan import CALLBACK_RETRIES, CALLBACK_TIMEOUT_MS, JobPlan, callback_url, credential, plans
from config.configuration import Configuration

_JOB = """\
pipelineJob({name}) {{
  description({purpose})
  parameters {{
{parameters}
  }}{serial}
  definition {{
    cps {{
      sandbox(true)
      script({script})
    }}
  }}
  // The callback's address is a secret, so it is a credential here and stays out of the build log.
  configure {{ project ->
    def properties = project / 'properties'
    def notification = properties / 'com.tikal.hudson.plugins.notification.HudsonNotificationProperty'
    (notification / 'endpoints') << 'com.tikal.hudson.plugins.notification.Endpoint' {{
      protocol('HTTP')
      format('JSON')
      event('all')
      timeout({timeout}) // short: the plugin waits in the build itself, and a lost callback is found by asking
      loglines(0)
      retries({retries})
      branch('.*') // without it the plugin sends nothing (from 1.17 on)
      urlInfo {{
        urlOrId({credential})
        urlType('SECRET')
      }}
    }}
  }}
}}
"""


def job_dsl(configuration: Configuration, controller: str | None = None) -> str:
    """One script for the jobs of a controller, or of all of them one after the other."""
    chosen = list(plans(configuration, controller))
    parts = []
    for name in dict.fromkeys(plan.controller for plan in chosen):
        mine = [plan for plan in chosen if plan.controller == name]
        folders = dict.fromkeys(folder for plan in mine for folder in plan.folders)
        parts.append(
            f"// Controller {name}. It needs a credential of kind secret text, id interlock-callback-{name}, holding\n"
            f"//   {callback_url(configuration, name)}\n"
        )
        parts += [f"folder({quoted(folder)})\n" for folder in folders]
        parts += [_job(plan) for plan in mine]
    return "\n".join(parts)


def _job(plan: JobPlan) -> str:
    parameters = "\n".join(f"    stringParam({quoted(n)}, '', {quoted(what)})" for n, what in plan.parameters)
    serial = "" if plan.concurrent else "\n  properties {\n    disableConcurrentBuilds()\n  }"
    return _JOB.format(
        name=quoted(plan.name),
        purpose=quoted(plan.purpose),
        parameters=parameters,
        serial=serial,
        script=quoted(script(plan)),
        credential=quoted(credential(plan)),
        timeout=CALLBACK_TIMEOUT_MS,
        retries=CALLBACK_RETRIES,
    )


def quoted(text: str) -> str:
    """A Groovy string in single quotes: nothing in it is expanded."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"
