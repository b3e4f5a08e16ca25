package writer

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// Keys come of files and follow them; a file in the middle of being written changes nothing; no key comes out.
func TestKeysFollowTheirFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, renewed := strings.Repeat("a", 32)+"\n", strings.Repeat("b", 32)
	c := Checkpoint{Keys: []string{write("1", old), write("2", renewed)}}
	c.Check(func(key, message, _ string) { t.Errorf("%s: %s", key, message) })
	r, err := c.ring(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	owner := checkpoint.Owner{Group: "g", Topic: "t"}
	opens := func(sealed string) bool { _, _, err := r.Open(sealed, owner); return err == nil }
	first := string(r.Seal([]byte("x"), owner))
	write("1", "short")
	if r.Reread(); string(r.Seal([]byte("x"), owner)) != first {
		t.Error("a key in the middle of being written was taken")
	}
	write("1", renewed)
	write("2", old)
	if !opens(first) || string(r.Seal([]byte("x"), owner)) != first {
		t.Error("the keys were read again though the MAC was good")
	}
	r.Reread()
	second := string(r.Seal([]byte("x"), owner))
	if second == first || !opens(first) || !opens(second) {
		t.Error("the keys were not rotated")
	}
	write("2", strings.Repeat("c", 32))
	r.Reread()
	if opens(first) {
		t.Error("a key that was taken away still opens")
	}

	write("1", "canary")
	found := ""
	c.Check(func(key, message, remedy string) { found += key + ": " + message + "; " + remedy })
	if !strings.Contains(found, "keys: ") || !strings.Contains(found, "holds 6 bytes") ||
		strings.Contains(found, "canary") {
		t.Error(found)
	}
	for _, doubt := range []Checkpoint{{}, {Keys: c.Keys, AcceptUnsigned: true}} {
		if len(doubt.doubts()) != 1 {
			t.Errorf("%+v: %v", doubt, doubt.doubts())
		}
	}
	if r, err := (&Checkpoint{}).ring(nil); r != nil || err != nil {
		t.Errorf("%v, %v", r, err)
	}
}
