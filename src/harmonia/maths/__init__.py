"""Pure functions and small states on arrays: no files, no settings, no stage."""
