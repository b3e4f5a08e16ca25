// Package version says which build of the program runs.
package version

import (
	"runtime/debug"
	"strings"
)

// number is set by release builds: -ldflags "-X github.com/waybill-data/waybill/pkg/version.number=v1.2.3".
var number string

// String is the version of this build: the number of a release, else the commit that Go has recorded, else
// "development". A commit is cut to 12 digits and ends in "+changes" when the work tree had uncommitted ones.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return describe(number, info)
}

func describe(number string, info *debug.BuildInfo) string {
	if number != "" {
		return number
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	switch {
	case commit == "" && strings.HasPrefix(info.Main.Version, "v"):
		return info.Main.Version // go install module@version
	case commit == "":
		return "development"
	case settings["vcs.modified"] == "true":
		return commit[:min(12, len(commit))] + "+changes"
	default:
		return commit[:min(12, len(commit))]
	}
}
