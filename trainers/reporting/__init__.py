"""What reports, comparisons and results files are made of; the programs in trainers/ write them."""
