"""Whether Interlock does its work: one judgement of what was observed, shown and told everywhere."""
