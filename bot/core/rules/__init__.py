"""The rules, one file per family, in the order of the pages about them."""
