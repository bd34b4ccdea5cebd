"""The report: what a run recorded (`data`), and the page that shows it (`page`). Standard library only."""
