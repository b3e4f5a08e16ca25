#!/bin/sh
# Fails when a page links to a file, or to a heading of one, that is not there. Links to other hosts are not followed.
set -eu
export LC_ALL=C
git ls-files '*.md' | xargs awk '
	# slug is the anchor that a heading gets: GitHub keeps letters, digits, hyphens and underscores.
	function slug(text) {
		text = tolower(text)
		gsub(/[^a-z0-9 _-]/, "", text)
		gsub(/ /, "-", text)
		return text
	}
	# clean takes . and .. out of a path.
	function clean(path,  parts, n, i, out, k) {
		n = split(path, parts, "/"); k = 0
		for (i = 1; i <= n; i++) {
			if (parts[i] == "" || parts[i] == ".") continue
			if (parts[i] == "..") { k--; continue }
			out[++k] = parts[i]
		}
		path = out[1]
		for (i = 2; i <= k; i++) path = path "/" out[i]
		return path
	}
	FNR == 1 { code = 0 }
	/^ *```/ { code = !code; next }
	code { next }
	/^#+ / { text = $0; sub(/^#+ /, "", text); headings[FILENAME "#" slug(text)] = 1 }
	{
		rest = $0
		while (match(rest, /\]\([^) ]+\)/)) {
			target = substr(rest, RSTART + 2, RLENGTH - 3)
			rest = substr(rest, RSTART + RLENGTH)
			if (target ~ /^[a-z]+:/) continue
			links[++count] = target; from[count] = FILENAME; line[count] = FNR
		}
	}
	END {
		for (i = 1; i <= count; i++) {
			path = links[i]; anchor = ""
			if (at = index(path, "#")) { anchor = substr(path, at + 1); path = substr(path, 1, at - 1) }
			dir = from[i]
			if (!sub(/\/[^\/]*$/, "", dir)) dir = ""
			file = path == "" ? from[i] : clean(dir "/" path)
			if (system("test -e \"" file "\"") != 0 || (anchor != "" && !((file "#" anchor) in headings))) {
				printf "%s:%d: the link to %s is dead\n", from[i], line[i], links[i]
				dead = 1
			}
		}
		exit dead
	}'
