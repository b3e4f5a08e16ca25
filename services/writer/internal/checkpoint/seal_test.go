package checkpoint

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func ring(t *testing.T, keys ...string) *Ring {
	t.Helper()
	var all [][]byte
	for _, k := range keys {
		all = append(all, bytes.Repeat([]byte(k), MinKeyBytes))
	}
	k, err := NewKeys(all)
	if err != nil {
		t.Fatal(err)
	}
	r := new(Ring)
	r.Set(k)
	return r
}

var ours = Owner{Cluster: "c", Group: "g", Topic: "orders", Partition: 3}

// A sealed token is that of one lane, whole, by a key that we have; nothing else opens.
func TestSealedTokensOpenForTheirLaneAlone(t *testing.T) {
	r := ring(t, "a", "b")
	sealed := string(r.Seal([]byte("token"), ours))
	if token, unsigned, err := r.Open(sealed, ours); token != "token" || unsigned || err != nil {
		t.Fatalf("%q, %v, %v", token, unsigned, err)
	}
	if len(sealed) != len("token")+1+22 || MaxBytes+23 >= 4096 {
		t.Errorf("%d bytes: %s", len(sealed), sealed)
	}
	for name, owner := range map[string]Owner{
		"cluster":   {"x", "g", "orders", 3},
		"group":     {"c", "x", "orders", 3},
		"topic":     {"c", "g", "x", 3},
		"partition": {"c", "g", "orders", 4},
		"shifted":   {"c", "go", "rders", 3},
	} {
		if _, _, err := r.Open(sealed, owner); !errors.Is(err, ErrForged) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	for i := range sealed {
		changed := []byte(sealed)
		changed[i] ^= 1
		if token, _, err := r.Open(string(changed), ours); err == nil {
			t.Errorf("byte %d changed: %q", i, token)
		}
	}
	for _, short := range []string{"token.", "token." + sealed[len("token."):len(sealed)-4], sealed + "." + "x"} {
		if _, _, err := r.Open(short, ours); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %v", short, err)
		}
	}
	if _, unsigned, err := r.Open("token", ours); !errors.Is(err, ErrUnsigned) || !unsigned {
		t.Errorf("without a MAC: %v", err)
	}
	r.AcceptUnsigned = true
	if token, unsigned, err := r.Open("token", ours); token != "token" || !unsigned || err != nil {
		t.Errorf("while unsigned ones are accepted: %q, %v, %v", token, unsigned, err)
	}
	if _, _, err := r.Open(sealed+"x", ours); !errors.Is(err, ErrForged) {
		t.Errorf("a bad MAC while unsigned ones are accepted: %v", err)
	}
}

// Keys are rotated while lanes run: the new one is added behind, put first, and the old one taken away.
func TestKeysAreRotated(t *testing.T) {
	r := ring(t, "a")
	old := string(r.Seal([]byte("token"), ours))
	r.Set(ring(t, "a", "b").keys.Load())
	if _, _, err := r.Open(old, ours); err != nil {
		t.Error(err)
	}
	r.Set(ring(t, "b", "a").keys.Load())
	renewed := string(r.Seal([]byte("token"), ours))
	for _, sealed := range []string{old, renewed} {
		if _, _, err := r.Open(sealed, ours); err != nil {
			t.Errorf("%s: %v", sealed, err)
		}
	}
	r.Set(ring(t, "b").keys.Load())
	if _, _, err := r.Open(old, ours); !errors.Is(err, ErrForged) {
		t.Errorf("by a key that was taken away: %v", err)
	}
	// A key that came since is looked for before a MAC is refused.
	r.Reread = func() { r.Set(ring(t, "b", "a").keys.Load()) }
	if _, _, err := r.Open(old, ours); err != nil {
		t.Error(err)
	}
}

// Without keys nothing is sealed, and what a writer with keys has sealed is read.
func TestWithoutKeys(t *testing.T) {
	var none *Ring
	if got := string(none.Seal([]byte("token"), ours)); got != "token" {
		t.Error(got)
	}
	sealed := string(ring(t, "a").Seal([]byte("token"), ours))
	if token, unsigned, err := none.Open(sealed, ours); token != "token" || unsigned || err != nil {
		t.Errorf("%q, %v, %v", token, unsigned, err)
	}
	if _, err := NewKeys([][]byte{[]byte(strings.Repeat("k", MinKeyBytes-1))}); err == nil {
		t.Error("a short key was taken")
	}
	if _, err := NewKeys(nil); err == nil {
		t.Error("no key was taken")
	}
}

// Keys that are read again and have not changed open nothing more, and what can be no MAC has none read again.
func TestForgedTokensStayForged(t *testing.T) {
	r, reread := ring(t, "a"), 0
	r.Reread = func() { reread++ }
	for sealed, want := range map[string]int{
		string(ring(t, "b").Seal([]byte("token"), ours)): 1,
		"token" + string(sealMark) + "no base64!":        0,
	} {
		reread = 0
		if token, _, err := r.Open(sealed, ours); token != "" || !errors.Is(err, ErrForged) || reread != want {
			t.Errorf("%s: %q, %v, keys read %d times", sealed, token, err, reread)
		}
	}
}
