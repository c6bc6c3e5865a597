"""Everything known about Jenkins: callbacks into events, the client, effects, jobs as code, the doctor's checks."""
