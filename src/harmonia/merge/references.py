"""Where the bibliography of this stage is."""

from pathlib import Path

REFERENCES = Path(__file__).with_name("references.bib")
