"""The Jenkinsfile of a stage's job: a frame to fill, that treats every parameter as data, never as shell."""

from __future__ import annotations

from bot.core.model.pipeline import Track
from bot.jenkins.job_plan import JobPlan, credential, plans
from config.configuration import Configuration

_SCRIPT = """\
// {purpose}
// The parameters are declared in the job, not here: a `parameters` block would count only from the second build on.
pipeline {{
  agent any
{environment}  stages {{
{question}    stage('{stage}') {{
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

#: A trigger that Jenkins took late may become a build that was given up: then another rolls out the same already.
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
    return _SCRIPT.format(
        purpose=plan.purpose,
        stage=plan.stage,
        work=work,
        callback=callback,
        environment=_ENVIRONMENT if plan.question else "",
        question=_QUESTION.replace("QUESTION", plan.question) if plan.question else "",
    )


def jenkinsfile(configuration: Configuration, job: str) -> str:
    """The Jenkinsfile for the job called `job`, with the callback by `curl`. Raises LookupError if there is none."""
    for plan in plans(configuration):
        if plan.name == job:
            return script(plan, callback=_CURL.format(credential=credential(plan)))
    known = ", ".join(plan.name for plan in plans(configuration))
    raise LookupError(f"no stage has a job {job!r}; the configured jobs are {known}")
