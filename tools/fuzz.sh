#!/bin/sh
# Fuzzes every target of the workspace for the time given, one after the other. What it finds is in the package's testdata/fuzz.
set -eu
time=${1:?usage: tools/fuzz.sh TIME}
found=$(grep -r --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*(' pkg proto services sandbox e2e | sort)
echo "$found" | sed 's/:func / /; s/($//' | while read -r file target; do
	echo "-- $(dirname "$file") $target"
	# Without a bound, making one input smaller may take the whole time.
	go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s -parallel 2 -timeout 5m
done
