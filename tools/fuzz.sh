#!/bin/sh
# Fuzzes every target of the workspace for the time given, one after the other. What it finds is in the package's testdata/fuzz.
set -eu
time=${1:?usage: tools/fuzz.sh TIME}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
grep -r --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*(' pkg proto services sandbox e2e | sort | sed 's/:func / /; s/($//' >"$out.targets"
trap 'rm -f "$out" "$out.targets"' EXIT
while read -r file target; do
	echo "-- $(dirname "$file") $target"
	# Without a bound, making one input smaller may take the whole time.
	if go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s -parallel 2 -timeout 5m >"$out" 2>&1; then
		tail -n 2 "$out"
	elif grep -q '^    context deadline exceeded$' "$out" && ! grep -q -e 'Failing input' -e panic "$out"; then
		# Go's fuzzer reports its own end of time as a failure when a worker is slow to learn of it; no input failed.
		echo 'time is up'
	else
		cat "$out"
		exit 1
	fi
done <"$out.targets"
