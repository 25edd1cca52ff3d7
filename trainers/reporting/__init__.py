"""The parts of reports, comparisons and results files; the programs in trainers/ write these."""
