"""The rules, one file per family, in the order of its documentation page."""
