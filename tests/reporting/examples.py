"""Each kind of message, in each of its forms."""

from __future__ import annotations

from bot.core.model import github_messages as g
from bot.core.model import messages as m
from bot.core.model import refusals as r
from bot.core.model import stage_messages as s
from bot.core.model.pipeline import AbortLevel, Mode, Outcome, Step, Track
from bot.core.model.stage_state import Lock

WHO, STEP = m.Who("S1", "b22c32c" + "0" * 33), Step("pre-production")
VERIFIED = m.Who("S1", "f5d0a6e" + "0" * 33, 12)
FAST = Step("acceptance", Track.FAST)
SHA = "f5d0a6e" + "0" * 33
FAILED = m.RunFailed(WHO, STEP, Outcome.FAILURE, ("A", "B", "C", "D", "E"), "Roll out: script returned exit code 1")
HOLDS_LOCK = m.Phrased(m.Phrase.HOLDS_LOCK)
ASKED = m.AskedBy("ann", "urgent")
AUTOMATIC = Lock("pre-production/S1.1", "pre-production", FAILED, "S1.1", 0.0, run="S1.1", service="S1")
OTHER = Lock("pre-production/S2.1", "pre-production", m.Verbatim("x" * 100), "S2.1", 0.0, run="S2.1", service="S2")
MANUAL = Lock("pre-production/1", "pre-production", m.Verbatim("maintenance"), "ann", 0.0, until=60.0)
LET_IN = Lock("pre-production/2", "pre-production", m.Verbatim("maintenance"), "ann", 0.0, let_fixes_in=True)
PASSED = m.StepPassed(STEP, m.Who("S1", SHA))
FAILED_FIX = s.FailedFix("S1.2", WHO, STEP, FAILED)

MESSAGES: list[m.Message] = [
    m.Verbatim("maintenance"),
    *(m.Phrased(phrase) for phrase in m.Phrase),
    m.WaitsFor(STEP),
    m.Queued(STEP),
    m.Queued(STEP, WHO),
    ASKED,
    m.LockedSinceMoved("pre-production"),
    m.StartsFast(HOLDS_LOCK),
    m.StartsFast(HOLDS_LOCK, WHO),
    m.Promoted(ASKED),
    m.Promoted(ASKED, who=WHO),
    m.Promoted(ASKED, "production", WHO),
    m.IsIn(FAST),
    m.IsMerged("production"),
    m.Entered(WHO, STEP),
    m.Entered(WHO, STEP, fast=True),
    m.Entered(WHO, STEP, fast=True, ahead=True),
    m.Overtaken(WHO, "pre-production"),
    m.BackInQueue(WHO),
    m.StartsAgain("S1.2", "S1.1", STEP),
    m.BuildRuns(7),
    m.BuildRuns(7, STEP),
    m.BuildRuns(7, STEP, VERIFIED),
    m.BuildPassed(7),
    m.StepPassed(STEP),
    m.StepPassed(STEP, WHO),
    FAILED,
    m.RunFailed(WHO, STEP, Outcome.ABORTED, by="ann"),
    m.RunFailed(WHO, STEP, Outcome.TIMEOUT),
    m.RunFailed(WHO, STEP, Outcome.UNSTABLE, ("Cart.pays",)),
    m.RunFailed(WHO, STEP, Outcome.NOT_BUILT),
    m.RunFailed(WHO, STEP, Outcome.ABORTED, lost="it was deleted"),
    m.VerificationEnded(7, Outcome.SUCCESS),
    m.VerificationEnded(7, Outcome.FAILURE, ("Cart.pays",), "test"),
    m.VerificationEnded(7, Outcome.ABORTED),
    m.VerificationEnded(7, Outcome.ABORTED, lost="it was deleted"),
    m.RetriedAutomatically(FAILED, 2),
    m.RunRetried("ann", STEP, "flaky"),
    m.RunRetried("ann", STEP, "flaky", WHO),
    m.RunMoved("ann", STEP, "the fair is tomorrow"),
    m.RunMoved("ann", STEP, "the fair is tomorrow", WHO),
    m.RanTooLong(7, WHO, STEP),
    m.AbortedMoreFirmly(7, WHO, "", STEP, AbortLevel.STOP, AbortLevel.TERM),
    m.AbortedMoreFirmly(7, None, "S1.1", STEP, AbortLevel.TERM, AbortLevel.KILL),
    m.BuildStuck(7, WHO, "", STEP, rolls_out=True),
    m.BuildStuck(7, None, "S1.1", FAST, rolls_out=False),
    m.TriggerNotTaken(STEP, "the job is disabled"),
    m.UnansweredTrigger(WHO, STEP, 60.0),
    m.FixFailed(WHO, FAILED),
    m.Delivered(WHO, STEP),
    m.PassedEveryStage(WHO),
    m.Cancelled("ann"),
    m.Cancelled("ann", "not wanted"),
    m.Cancelled("ann", passed=STEP),
    m.Superseded(SHA, "S1.2"),
    m.ContainedInFailed(SHA, STEP),
    m.DroppedFromMain(SHA),
    m.Unconfigured("S1"),
    m.RunEnding(m.Cancelled("ann"), STEP),
    # stages
    s.StageLocked("pre-production", FAILED),
    s.StageUnlocked("pre-production", PASSED, 0),
    s.StageUnlocked("pre-production", PASSED, 1),
    s.StageUnlocked("pre-production", s.UnlockedBy("ann", "it is fine"), 2),
    s.UnlockedBy("ann", "it is fine"),
    s.LockExpired("ann"),
    s.Frozen("weekend", 0.0, "Europe/Berlin"),
    s.Frozen("weekend", 0.0, "No/Where"),
    s.FreezeEnded("weekend"),
    s.FreezeEnded("weekend", changed=True),
    s.FreezesChanged(("weekend", "christmas")),
    s.FreezesChanged(()),
    s.ExceptedByLabel("hotfix", 12),
    s.ExceptedByService("S9"),
    s.LetThrough("kim", "the shop is down"),
    s.LetThrough("kim", "the shop is down", WHO),
    s.FreezePassed(STEP, "weekend", s.ExceptedByService("S9")),
    s.FreezePassed(STEP, "weekend", s.ExceptedByLabel("hotfix", 12), WHO),
    s.ClosedNow("pre-production"),
    s.CalledBack(STEP, s.ClosedNow("pre-production")),
    s.CalledBack(STEP, s.ClosedNow("pre-production"), WHO),
    s.OnMainLaneAgain("S1"),
    s.OnMainLaneAgain("S1", WHO),
    s.FixComing(WHO, STEP, waits=True, retried=False),
    s.FixComing(WHO, STEP, waits=False, retried=False),
    s.FixComing(WHO, STEP, waits=False, retried=True, expected=0.0),
    s.NoFixComing("S1"),
    s.FixPasses(("pre-production",), "S1", on_request=False),
    s.FixPasses(("pre-production", "production"), "S1", on_request=True),
    s.MergesWait(("pre-production",), "S1", 0.0),
    s.NothingLocked(),
    s.BannerPutBack("shop/pre-production", left=False),
    s.BannerPutBack("shop/pre-production", left=True),
    s.BuildRepeated(8, 7, WHO),
    s.LateBuild(8, STEP, "S1.1"),
    s.LateBuildEnded(8, STEP, "S1.1", Outcome.ABORTED),
    s.LateBuildEnded(8, STEP, "S1.1", Outcome.SUCCESS),
    s.UnmanagedBuildSeen(8, STEP),
    s.UnmanagedBuildSeen(8, STEP, "S1.1"),
    s.PipelineConfigured("shop", ("build", "acceptance"), 3, Mode.RUN),
    s.ModeChanged("ann", Mode.RUN, Mode.PAUSE, "a look"),
    s.WasTakenOut("ann", "dead-letter", "notify/1", True, "Jenkins is back"),
    s.WasTakenOut("ann", "parked-delivery", "1700000000000-0", False, "nobody needs it"),
    s.StageWatched("ann", "pre-production"),
    s.StateWasLost("the store was emptied"),
    s.StoreRestored(1_795_000_000.0),
    s.ClosedAfterLoss(),
    s.ClosedAfterLoss((FAILED, m.Verbatim("maintenance"))),
    # GitHub
    g.CommitOnMain(SHA, "S1"),
    g.CommitOnMain(SHA, "S1", 12),
    g.CommitOnMain(SHA, "S1", None, "force-pushed"),
    g.CommitOnMain(SHA, "S1", None, "polled"),
    g.ContainmentQuestion(SHA, WHO.sha),
    g.ContainmentAnswer(SHA, WHO.sha, contains=True),
    g.ContainmentAnswer(SHA, WHO.sha, contains=False),
    g.BaselineTaken(SHA, "S1"),
    g.CommitKnown(SHA, m.Phrase.SAME_PUSH),
    g.CommitKnown(SHA, carried_by=WHO.sha),
    g.ForcePushUnplaced(SHA, WHO.sha, "1" * 40),
    g.DefaultBranchMoved("S1", "shop/s1", "main", "trunk"),
    g.VerificationQueued(VERIFIED),
    g.VerificationQueued(VERIFIED, "ann"),
    g.VerificationLeft(VERIFIED, m.Phrased(m.Phrase.PULL_CLOSED), stopping=False),
    g.VerificationLeft(VERIFIED, g.NewerPush(WHO.sha), stopping=True),
    g.VerificationHeld(SHA),
    g.VerificationHeld(SHA, VERIFIED),
    g.NewerPush(SHA),
    g.NotVerifiedAnyMore("S1"),
    g.CommandHeard("github:ann", "shop/s1#12, comment 4711", ("retry", "")),
    g.NotAllowed("ann may not lock a stage: that takes the role `operator`"),
    g.CommandNotDone("github:ann", "shop/s1#12, comment 4711", r.Refusal(r.No.TOO_LATE)),
    # refusals
    *(
        r.Refusal(no, "S1.1", WHO, "S1", SHA, "1" * 40, 12, STEP, "running", 3, 4, 7, "lock", "S1.1 ended as failed")
        for no in r.No
    ),
    r.Refusal(r.No.NO_RUN),
    r.NoSuchStage("shop", "accept", ("build", "acceptance")),
    r.NotClosedBy("acceptance", None),
    r.NotClosedBy("acceptance", "acceptance/1"),
    r.NotClosedBy("pre-production", "pre-production/9", (AUTOMATIC, OTHER)),
    r.SeveralLocks("pre-production", (AUTOMATIC, MANUAL)),
]

#: What is answered or sent as a whole, and has no words of its own.
WHOLE: list[m.Message] = [
    g.HelpAsked(),
    g.StatusAsked(),
    g.WhyAsked(("S1.1",)),
    g.NotUnderstood("retry"),
    s.StageNotice("pre-production"),
    s.WatchNotice("pre-production", PASSED),
    s.LossNotice("shop", "the store was emptied"),
    s.WrittenNotice("subject", "text\n"),
]

NOTICES: list[m.Message] = [
    s.StageNotice("pre-production", (AUTOMATIC,), (AUTOMATIC,)),
    s.StageNotice("pre-production", (MANUAL, LET_IN), (MANUAL, LET_IN)),
    s.StageNotice("pre-production", (AUTOMATIC,), (), FAILED_FIX),
    s.StageNotice(
        "pre-production",
        (AUTOMATIC, Lock("pre-production/S1.2", "pre-production", FAILED, "S1.2", 0.0, run="S1.2", service="S1")),
        (Lock("pre-production/S1.2", "pre-production", FAILED, "S1.2", 0.0, run="S1.2", service="S1"),),
        FAILED_FIX,
        (s.LockExpired("ann"),),
    ),
    s.StageNotice("pre-production", (AUTOMATIC, OTHER), (), None, (s.UnlockedBy("ann", "it is fine"),)),
    s.StageNotice("pre-production", (), (), None, (PASSED, PASSED)),
    s.StageNotice("pre-production", (AUTOMATIC, MANUAL), since=0.0),
    s.StageNotice("pre-production", (MANUAL, LET_IN), forgotten=(MANUAL, LET_IN)),
    s.StageNotice("acceptance", failed=(FAILED_FIX,)),
    s.WatchNotice("pre-production", PASSED),
    s.LossNotice("shop", "the store was emptied"),
    s.LossNotice(
        "shop",
        "the store was emptied",
        ("pre-production", "production"),
        (("pre-production", FAILED),),
        (s.LostRun(WHO, STEP, "waiting"),),
        3,
        (WHO,),
    ),
    m.BuildStuck(7, WHO, "", STEP, rolls_out=True),
    g.DefaultBranchMoved("S1", "shop/s1", "main", "trunk"),
    s.WrittenNotice("subject", "text\n"),
]
