#!/bin/sh
# Puts the clients of other languages that the sandbox is tried with into a folder: Python's by pip, Node's by npm, Java's and Kafka's own tools
# by Maven, in the versions that sandbox/clients pins. A language whose programs are missing is left out, with a word. What is there is left as
# it is.
set -eu
folder=${1:?usage: tools/clients.sh FOLDER}
clients=$PWD/sandbox/clients
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

has() {
	for program in "$@"; do
		command -v "$program" >/dev/null || {
			echo "no $program here: $name is left out" >&2
			return 1
		}
	done
}
# pinned tells whether the folder of a language is that of its pins, and cleans it up otherwise.
pinned() {
	mark=$folder/$name/pins-$(cat "$@" | cksum | tr ' ' -)
	test -e "$mark" && return
	rm -rf "${folder:?}/$name"
	mkdir -p "$folder/$name"
	echo "fetching the clients of $name"
	return 1
}
# jars copies what a pom names. Every jar must have the checksum that stands beside the pom.
jars() {
	mvn -q -B -f "$clients/$name/pom.xml" dependency:copy-dependencies -DoutputDirectory="$folder/$name"
	(cd "$folder/$name" && sha256sum --check --quiet --strict "$clients/$name/checksums.txt") || {
		echo "the jars in $folder/$name are not those of $clients/$name/checksums.txt: do not run them" >&2
		exit 1
	}
}

name=python
if has python3; then
	pinned "$clients/python/requirements.txt" || {
		python3 -m venv "$folder/python"
		"$folder/python/bin/pip" install -q --disable-pip-version-check --no-deps -r "$clients/python/requirements.txt"
		touch "$mark"
	}
fi
name=node
if has node npm; then
	pinned "$clients/node/package.json" "$clients/node/package-lock.json" || {
		cp "$clients/node/package.json" "$clients/node/package-lock.json" "$folder/node"
		(cd "$folder/node" && npm ci --silent --no-audit --no-fund)
		touch "$mark"
	}
fi
for name in java kafka; do
	if has java mvn; then
		pinned "$clients/$name/pom.xml" "$clients/$name/checksums.txt" || {
			jars
			touch "$mark"
		}
	fi
done
