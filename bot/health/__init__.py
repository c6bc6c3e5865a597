"""Whether Interlock does its work: one judgement of what was observed, the same wherever it is shown."""
