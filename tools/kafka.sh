#!/bin/sh
# Puts Apache Kafka's broker into a folder: the jars that e2e/realkafka/pom.xml pins, with their dependencies, by Maven. Every jar must have the
# checksum that e2e/realkafka/checksums.txt names. A folder that is complete is left as it is. Java and Maven are installed on the way where
# that is possible without a question.
set -eu
folder=${1:?usage: tools/kafka.sh FOLDER}
pom=$PWD/e2e/realkafka/pom.xml
sums=$PWD/e2e/realkafka/checksums.txt

wanted=
command -v java >/dev/null || wanted="openjdk-17-jre-headless"
command -v mvn >/dev/null || wanted="$wanted maven"
if [ -n "$wanted" ]; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "the tests against Apache Kafka need Java 17 and Maven: install these packages or their like, and try again: $wanted" >&2
		exit 1
	fi
	echo "installing $wanted"
	# shellcheck disable=SC2086 # several words on purpose
	{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $wanted; } >/dev/null
fi
version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
if [ "${version:-0}" -lt 17 ]; then
	echo "the tests against Apache Kafka need Java 17 or later; the java in PATH is ${version:-unknown}" >&2
	exit 1
fi

complete() {
	[ "$(find "$folder" -name '*.jar' 2>/dev/null | wc -l)" = "$(wc -l <"$sums")" ] && (cd "$folder" && sha256sum --check --quiet --strict "$sums")
}
complete 2>/dev/null && exit 0
rm -rf "$folder"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
echo "fetching Apache Kafka"
mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$folder"
complete || {
	echo "the jars in $folder are not those of $sums: do not run them" >&2
	exit 1
}
