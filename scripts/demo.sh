#!/bin/sh
# The main jobs on real data. Documents: fetch, diagnose, select, judge. Trajectories: gather, train, compare, film.
# Clients: diagnose, compare. A model made smaller. About five minutes on two cores.
set -eu
harmonia="$BIN/harmonia"
mkdir -p "$DEMO"

echo "1/10   a real corpus of many sources (fetched once, then cached)"
"$harmonia" data get demo

echo "2/10   how its sources disagree"
"$harmonia" diagnose demo --out "$DEMO/diagnosis" --resume --report

echo "3/10   pick 3 % of the documents"
"$harmonia" select demo --recipe disf-unit --budget 3% --out "$DEMO/selection" --resume --report

echo "4/10   does it help? train on what several recipes pick, measure held-out text of every source"
"$harmonia" compare select demo --recipes random,stratified,disf-unit,k-means,semdedup --seeds 5 \
    --judge probe --out "$DEMO/comparison" --resume --report

echo "5/10   robot arms that open and close: trajectories of four Meta-World tasks, good ones and noisy ones"
"$harmonia" trajectories gather --env metaworld:drawer-close-v3,drawer-open-v3,window-close-v3,window-open-v3 \
    --quality expert,noisy --episodes 20 --out "$DEMO/trajectories" --resume

echo "6/10   one policy for all four, a mask of its weights for each; judged on goals it never saw, and filmed"
"$harmonia" decide "$DEMO/trajectories" --recipe harmodt-r --set training.steps=1000 --goals 5 --videos 4 \
    --out "$DEMO/policy" --resume --report

echo "7/10   must a policy know its task? told nothing, told by a number, by random masks, by learned masks"
"$harmonia" compare decide "$DEMO/trajectories" --recipes dt,mtdt,harmodt-r,harmodt --seeds 3 --goals 5 \
    --set training.steps=1000 --out "$DEMO/policies" --resume --report

echo "8/10   clients that keep their images, two classes each: how do they disagree?"
"$harmonia" diagnose digits --clients 10 --partition pcdd:2 --out "$DEMO/clients" --resume --report

echo "9/10   one model for all ten: plain averaging, control variates, a head of fixed directions, one that adapts"
"$harmonia" compare federate digits --partition pcdd:2 --recipes fedavg,scaffold,fedetf,fedgela --rounds 40 --seeds 5 \
    --out "$DEMO/federation" --resume --report

echo "10/10  a sentence encoder with half of its heads and neurons: sliced, with biases mended, with weights mended"
"$harmonia" compare compress minilm --recipes none-wifv,bias-wifv,liar-wifv --ratios 0.3,0.5 --calibration tales \
    --seeds 2 --judged 4000 --out "$DEMO/smaller" --resume --report

echo
echo "open these pages in a browser:"
for page in diagnosis selection comparison policy policies clients federation smaller; do echo "  $DEMO/$page/report.html"; done
