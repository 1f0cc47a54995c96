#!/bin/sh
# The main job on real documents: fetch, diagnose, select, judge, report. Two to three minutes on two cores.
set -eu
harmonia="$BIN/harmonia"
mkdir -p "$DEMO"

echo "1/4  a real corpus of many sources (fetched once, then cached)"
"$harmonia" data get demo

echo "2/4  how its sources disagree"
"$harmonia" diagnose demo --out "$DEMO/diagnosis" --resume --report

echo "3/4  pick 3 % of the documents"
"$harmonia" select demo --recipe disf-unit --budget 3% --out "$DEMO/selection" --resume --report

echo "4/4  does it help? train on what several recipes pick, measure held-out text of every source"
"$harmonia" compare select demo --recipes random,stratified,disf-unit,k-means,semdedup --seeds 5 \
    --judge probe --out "$DEMO/comparison" --resume --report

echo
echo "open these pages in a browser:"
for page in diagnosis selection comparison; do echo "  $DEMO/$page/report.html"; done
