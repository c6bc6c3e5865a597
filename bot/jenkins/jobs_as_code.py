"""Print the jobs of the stages as code: as Job DSL, as Jenkins Job Builder YAML, and as the Jenkinsfile of one job."""

from __future__ import annotations

from typing import Any

import yaml

from bot.core.model.pipeline import Track
from bot.jenkins.job_plan import CALLBACK_RETRIES, CALLBACK_TIMEOUT_MS, JobPlan, callback_url, credential, plans
from config.configuration import Configuration

# -- Jenkinsfile: a template that treats every parameter as data, never as shell ---------------------------------------

_SCRIPT = """\
// {purpose}
// The parameters are declared in the job, not here: a `parameters` block would count only from the second build on.
pipeline {{
  agent any
{environment}  stages {{
{question}    stage('{stage}') {{
      steps {{
        // Shows the run in Jenkins; leave it out to see the number alone.
        script {{ currentBuild.displayName = '#' + env.BUILD_NUMBER + ' ' + params.INTERLOCK_RUN }}
        // Single quotes: the shell reads the parameters from its environment, Groovy puts nothing into the command.
        sh 'echo "$INTERLOCK_SERVICE $INTERLOCK_VERSION ($INTERLOCK_SHA)"'
{work}      }}
    }}
  }}
  post {{
    always {{
      // With the test report Interlock names the failing tests in the lock, in messages and in comments:
      // junit allowEmptyResults: true, testResults: '**/TEST-*.xml'
{callback}    }}
  }}
}}
"""

#: Jenkins may start a build late, after Interlock has given it up and another build rolls out the same commit.
_ENVIRONMENT = """\
  environment {
    // What a build does if Interlock does not answer for about a minute: 'stop' changes nothing, ends NOT_BUILT and
    // can be retried; 'go' rolls out all the same, at the risk that two builds of one run do so at once.
    INTERLOCK_SILENT = 'stop'
  }
"""

_QUESTION = """\
    stage('Still wanted?') {
      steps {
        // Jenkins may have hung and started this build after Interlock had given it up and asked for another.
        script {
          def answer = sh(returnStdout: true, script: '''set +x
            if [ -z "$INTERLOCK_RUN" ]; then printf 'by hand'; exit 0; fi
            for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
              answer=$(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' \\
                "QUESTION") || true
              case "$answer" in 200|409) break ;; esac
              sleep "${INTERLOCK_ASK_AGAIN:-3}"
            done
            printf '%s' "$answer"''').trim()
          if (answer == '409') {
            currentBuild.result = 'NOT_BUILT'
            error('Interlock does not wait for this build any more: nothing was rolled out')
          }
          if (answer != '200' && answer != 'by hand' && env.INTERLOCK_SILENT != 'go') {
            currentBuild.result = 'NOT_BUILT'
            error('Interlock did not say whether it waits for this build (' + answer + '): nothing was rolled out')
          }
        }
      }
    }
"""

_WORK = """\
        // Put the work of the stage here, for example: sh './{example} "$INTERLOCK_SERVICE" "$INTERLOCK_VERSION"'
"""

_EXAMPLES = {"build": "build-and-publish"}

_VERIFY = """\
        // Put the checks of a pull request here. Build exactly this commit, not the later head of the branch:
        //   git fetch origin "$INTERLOCK_SHA" && git checkout --detach "$INTERLOCK_SHA"
        // The author of the pull request controls this code: give this job no secrets, and an agent of its own.
"""

_CURL = """\
      // Without the notification plugin the build calls back itself. A hint only: nothing breaks if it is lost.
      // The credential (secret text) holds the whole address; `set +x` keeps it out of the log.
      withCredentials([string(credentialsId: '{credential}', variable: 'INTERLOCK_CALLBACK')]) {{
        sh '''set +x
          printf '{{"job": "%s", "build": "%s"}}' "$JOB_NAME" "$BUILD_NUMBER" |
            curl --silent --show-error --fail --max-time 10 --retry 2 --output /dev/null \\
              --header "Content-Type: application/json" --data @- "$INTERLOCK_CALLBACK" || true'''
      }}
"""

_PLUGIN = """\
      echo 'The notification plugin calls Interlock back.'
"""


def script(plan: JobPlan, *, callback: str = _PLUGIN) -> str:
    """Return the pipeline script of one job."""
    work = (
        _VERIFY if plan.track is Track.VERIFY else _WORK.format(example=_EXAMPLES.get(plan.stage, "roll-out-or-test"))
    )
    return _SCRIPT.format(
        purpose=plan.purpose,
        stage=plan.stage,
        work=work,
        callback=callback,
        environment=_ENVIRONMENT if plan.question else "",
        question=_QUESTION.replace("QUESTION", plan.question) if plan.question else "",
    )


def jenkinsfile(configuration: Configuration, job: str) -> str:
    """Return the Jenkinsfile for the job named `job`, with the callback by `curl`. Raises LookupError."""
    for plan in plans(configuration):
        if plan.name == job:
            return script(plan, callback=_CURL.format(credential=credential(plan)))
    known = ", ".join(plan.name for plan in plans(configuration))
    raise LookupError(f"no stage has a job {job!r}; the configured jobs are {known}")


# -- Job DSL (Jenkins job-dsl plugin), for a seed job or Configuration as Code -----------------------------------------

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
    """Return one Job DSL script for the jobs of a controller, or for those of all controllers one after the other."""
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
        parts += [_dsl_of(plan) for plan in mine]
    return "\n".join(parts)


def _dsl_of(plan: JobPlan) -> str:
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
    """Return a Groovy string in single quotes, in which nothing is expanded."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


# -- Jenkins Job Builder YAML (modules `project_pipeline`, `notifications`) --------------------------------------------


def jjb(configuration: Configuration, controller: str | None = None) -> str:
    """Return one YAML document: first the folders, then the jobs."""
    chosen = list(plans(configuration, controller))
    folders = dict.fromkeys(folder for plan in chosen for folder in plan.folders)
    items = [{"job": {"name": folder, "project-type": "folder"}} for folder in folders]
    items += [{"job": _jjb_of(plan)} for plan in chosen]
    head = "".join(
        f"# On {name}: a credential of kind secret text, id interlock-callback-{name}, holding\n"
        f"#   {callback_url(configuration, name)}\n"
        for name in dict.fromkeys(plan.controller for plan in chosen)
    )
    return head + yaml.safe_dump(items, sort_keys=False, allow_unicode=True, width=110)


def _jjb_of(plan: JobPlan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "description": plan.purpose,
        "project-type": "pipeline",
        "sandbox": True,
        "concurrent": plan.concurrent,
        "parameters": [{"string": {"name": n, "description": what, "default": ""}} for n, what in plan.parameters],
        "notifications": [
            {
                "http": {
                    "url": credential(plan),
                    "url-type": "SECRET",
                    "format": "JSON",
                    "event": "all",
                    "timeout": CALLBACK_TIMEOUT_MS,
                    "retries": CALLBACK_RETRIES,
                }
            }
        ],
        "dsl": _braces_doubled(script(plan)),
    }


def _braces_doubled(text: str) -> str:
    """Double the braces: Jenkins Job Builder expands `{name}` in every text of a job, and makes doubled ones single."""
    return text.replace("{", "{{").replace("}", "}}")
