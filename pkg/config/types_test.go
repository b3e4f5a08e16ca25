package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func TestSecretIsPrintedNowhere(t *testing.T) {
	const text = "hunter2"
	holder := struct {
		Password Secret
		Inner    *struct{ Password Secret }
	}{NewSecret(text), &struct{ Password Secret }{NewSecret(text)}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%10s", "%T %v"} {
		fmt.Fprintf(&out, verb+"\n", NewSecret(text), NewSecret(text))
		fmt.Fprintf(&out, verb+"\n", holder, holder)
		fmt.Fprintf(&out, verb+"\n", []Secret{NewSecret(text)}, *holder.Inner)
	}
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		b, err := marshal(holder)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	for _, logger := range []*slog.Logger{
		slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil)),
	} {
		logger.Info("m", "password", NewSecret(text), "holder", holder)
	}
	for _, leak := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text)} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("the secret is in:\n%s", out.String())
		}
	}
	if s := fmt.Sprint(NewSecret(text), NewSecret(""), Secret{}); s != "***  " {
		t.Errorf("printed as %q; whether it is set should show", s)
	}
	if NewSecret(text).Reveal() != text {
		t.Error("the secret is lost")
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{
		"0": 0, "17": 17, "17B": 17, "9 MiB": 9 << 20, "64mib": 64 << 20, "512KiB": 512 << 10, "1GiB": 1 << 30,
		"2TiB": 2 << 40, "9MB": 9e6, "1kb": 1000, "3 GB": 3e9, "1TB": 1e12, "9223372036854775807": math.MaxInt64,
	} {
		var got Bytes
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5GiB", "1PiB", "x", "8388608TiB", "9223372036854775808", "1 2"} {
		got := Bytes(5)
		if err := got.UnmarshalText([]byte(text)); err == nil || got != 5 {
			t.Errorf("%q: taken as %d", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		want := Bytes(rapid.Int64Min(0).Draw(t, "bytes") >> rapid.IntRange(0,
			62).Draw(t, "shift") << rapid.IntRange(0, 3).Draw(t, "unit"))
		var got Bytes
		if want < 0 {
			t.Skip("overflow")
		}
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Fatalf("%d prints as %s, which reads as %d, %v", int64(want), want, int64(got), err)
		}
	})
}

func TestDuration(t *testing.T) {
	var d Duration
	if err := d.UnmarshalText([]byte("1m30s")); err != nil || d.Std() != 90*time.Second || d.String() != "1m30s" {
		t.Errorf("got %v, %v", d, err)
	}
	for _, text := range []string{"", "10", "-1s", "soon"} {
		if err := d.UnmarshalText([]byte(text)); err == nil || d.Std() != 90*time.Second {
			t.Errorf("%q: taken as %v", text, d)
		}
	}
	if b, err := d.MarshalText(); err != nil || string(b) != "1m30s" {
		t.Errorf("marshals as %q, %v", b, err)
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"brokers", "group", "max_bytes", "sasl"}
	for name, want := range map[string]string{
		"broker":   "did you mean brokers?",
		"maxBytes": "did you mean max_bytes?",
		"gruop":    "did you mean group?",
		"colour":   "known keys here: brokers, group, max_bytes, sasl",
	} {
		if got := suggest(name, known); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := suggest("x", nil); got != "remove it: nothing can be set here" {
		t.Errorf("got %q", got)
	}
}

// A password that is renewed in place is revealed from then on; while its file is away or being written, the one before
// is.
func TestSecretOfAFileIsReadEachTime(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	s, err := readSecret("file:password", dir)
	if err != nil {
		t.Fatal(err)
	}
	reveals := func(want string) {
		t.Helper()
		if got := s.Reveal(); got != want {
			t.Errorf("reveals %q, want %q", got, want)
		}
	}
	reveals("first")
	write("second\r\n")
	reveals("second")
	write("")
	reveals("second")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	reveals("second")
	if text := fmt.Sprintf("%v %+v %#v %d", s, s, s, s); strings.Contains(text, "second") {
		t.Errorf("printed: %s", text)
	}
	if _, err := readSecret("file:nowhere", dir); err == nil {
		t.Error("a file that is not there is taken")
	}
}
