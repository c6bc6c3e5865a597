"""The Jenkinsfile of a stage's job: a frame to fill, that treats every parameter as data, never as shell."""

from __future__ import annotations

from bot.core.pipeline import Track
from config.configuration import Configuration
from config.jobs.plan import JobPlan, credential, plans

_SCRIPT = """\
// {purpose}
// The parameters are declared in the job, not here: a `parameters` block would count only from the second build on.
pipeline {{
  agent any
  stages {{
    stage('{stage}') {{
      steps {{
        // Shows in Jenkins whose build it is; leave it out if you would rather see the number alone.
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

_WORK = """\
        // Put here what the stage does, for example: sh './{example} "$INTERLOCK_SERVICE" "$INTERLOCK_VERSION"'
"""
_EXAMPLES = {"build": "build-and-publish"}
_VERIFY = """\
        // Put here what has to hold before a merge. Build this very commit, not what the branch says by then:
        //   git fetch origin "$INTERLOCK_SHA" && git checkout --detach "$INTERLOCK_SHA"
        // Whoever opened the pull request has written it: give this job no secrets, and an agent of its own.
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
    """The pipeline script of one job."""
    work = (
        _VERIFY if plan.track is Track.VERIFY else _WORK.format(example=_EXAMPLES.get(plan.stage, "roll-out-or-test"))
    )
    return _SCRIPT.format(purpose=plan.purpose, stage=plan.stage, work=work, callback=callback)


def jenkinsfile(configuration: Configuration, job: str) -> str:
    """The Jenkinsfile for the job called `job`, with the callback by `curl`. Raises LookupError if there is none."""
    for plan in plans(configuration):
        if plan.name == job:
            return script(plan, callback=_CURL.format(credential=credential(plan)))
    known = ", ".join(plan.name for plan in plans(configuration))
    raise LookupError(f"no stage has a job {job!r}; the configured jobs are {known}")
