"""The Jenkins part: callbacks into events, the client, the effects, jobs as code, the doctor's checks."""
