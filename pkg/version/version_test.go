package version

import (
	"runtime/debug"
	"testing"
)

func TestDescribe(t *testing.T) {
	vcs := func(revision, modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: modified}}
	}
	for name, tt := range map[string]struct {
		number string
		info   debug.BuildInfo
		want   string
	}{
		"release": {
			number: "v1.2.3", info: debug.BuildInfo{Settings: vcs("0123456789abcdef", "true")},
			want: "v1.2.3",
		},
		"commit":      {info: debug.BuildInfo{Settings: vcs("0123456789abcdef", "false")}, want: "0123456789ab"},
		"changes":     {info: debug.BuildInfo{Settings: vcs("0123456789abcdef", "true")}, want: "0123456789ab+changes"},
		"installed":   {info: debug.BuildInfo{Main: debug.Module{Version: "v0.4.0"}}, want: "v0.4.0"},
		"development": {info: debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, want: "development"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := describe(tt.number, &tt.info); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if String() == "" {
		t.Error("no version")
	}
}
