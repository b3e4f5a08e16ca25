package decode

import (
	"encoding/json"
	"strings"
	"testing"
)

var jsonTexts = []string{
	`{}`, `[]`, `""`, `0`, `-0`, `-1.5e+10`, `1E5`, `true`, `false`, `null`, ` {"a" : [1, 2, {"b":[]}], "c":null} `, `"\u00e9\ud83d\ude00 é 😀 \n\/"`,
	``, ` `, `{`, `[`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `[1,]`, `[,1]`, `[1 2]`, `{"a" 1}`, `{1:2}`, `01`, `1.`, `.5`, `-`, `1e`, `+1`, `tru`, `nul`,
	`"`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"\n\"", "\"\x7f\"", `1 2`, `{}}`, `[]]`, `[}`, `{]`, `NaN`, `Infinity`, `'a'`, `[[[[]]]]`, `[{"a":[{}]},[]]`, "\xef\xbb\xbf1",
}

// strict says whether a text is JSON, by the standard library, which lets through what is no UTF-8.
func valid(text string) bool { return json.Valid([]byte(text)) && utf8Strict(text) }

// utf8Strict says whether neither bytes nor escapes stand for something that is no character.
func utf8Strict(text string) bool {
	if strings.ToValidUTF8(text, "?") != text {
		return false
	}
	// A lone surrogate becomes U+FFFD when it is read; one that was written so is not counted.
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return true
		}
		if s, ok := token.(string); ok && strings.Count(s, "\ufffd") > strings.Count(text, "\ufffd")+strings.Count(strings.ToLower(text), `\ufffd`) {
			return false
		}
	}
}

func TestCheckJSON(t *testing.T) {
	for _, text := range jsonTexts {
		if _, reason := CheckJSON([]byte(text)); (reason == "") != valid(text) {
			t.Errorf("%q: %q, want valid %v", text, reason, valid(text))
		}
	}
	for text, want := range map[string]int{`{"a":x}`: 5, `[1`: 2, "\"a\xff\"": 2, `"\ud800"`: 1, `{} x`: 3, `[1,2,]`: 5} {
		if at, reason := CheckJSON([]byte(text)); at != want || reason == "" {
			t.Errorf("%q: %q at %d, want %d", text, reason, at, want)
		}
	}
	deep := func(n int) []byte { return []byte(strings.Repeat(`[{"a":`, n/2) + "1" + strings.Repeat("}]", n/2)) }
	if _, reason := CheckJSON(deep(MaxJSONNesting)); reason != "" {
		t.Error(reason)
	}
	if _, reason := CheckJSON(deep(MaxJSONNesting + 2)); reason != nestingReason {
		t.Error(reason)
	}
	text := []byte(`{"a":[1,2,{"b":"é\n"}]}`)
	if n := testing.AllocsPerRun(100, func() { CheckJSON(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzCheckJSON(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, reason := CheckJSON([]byte(text))
		if reason == nestingReason {
			return
		}
		if (reason == "") != valid(text) {
			t.Fatalf("%q: %q, want valid %v", text, reason, valid(text))
		}
	})
}
