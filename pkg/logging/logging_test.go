package logging

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNew(t *testing.T) {
	var out strings.Builder
	logger := New(&out, Config{Level: "warn", Format: "json"})
	logger.Info("quiet")
	logger.Warn("loud", "lane", "orders/3")
	var line map[string]any
	if err := json.Unmarshal([]byte(out.String()), &line); err != nil {
		t.Fatalf("not one line of JSON: %q", out.String())
	}
	if line["msg"] != "loud" || line["lane"] != "orders/3" || line["level"] != "WARN" {
		t.Errorf("got %v", line)
	}

	out.Reset()
	logger = New(&out, Config{})
	logger.Debug("quiet")
	logger.Info("loud")
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "level=INFO msg=loud") {
		t.Errorf("got %q", got)
	}
}

func TestCheck(t *testing.T) {
	for _, good := range []Config{{}, {Level: "DEBUG", Format: "text"}, {Level: "error", Format: "json"}} {
		good.Check(func(key, message, _ string) { t.Errorf("%+v: %s: %s", good, key, message) })
	}
	var keys []string
	bad := Config{Level: "loud", Format: "xml"}
	bad.Check(func(key, _, _ string) { keys = append(keys, key) })
	if diff := cmp.Diff([]string{"level", "format"}, keys); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
