#!/bin/sh
# Runs a command in each module of the workspace, alone: the go.work file must not add to it. All are run before one fails.
set -eu
failed=0
for dir in $(go list -m -f '{{.Dir}}'); do
	(cd "$dir" && GOWORK=off sh -c "$1") || { echo "$dir: $1 failed" >&2; failed=1; }
done
exit $failed
