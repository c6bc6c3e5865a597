"""The health of Interlock itself: one judgement, made of observations, that is shown everywhere."""
