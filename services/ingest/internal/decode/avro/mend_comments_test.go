package avro

import (
	"strings"
	"testing"
)

// Comments are passed over as Java's parser does, and nothing that only looks like one.
func TestComments(t *testing.T) {
	for schema, ok := range map[string]bool{
		"/* a\n * b */" + recordSchema + "// end":                                      true,
		strings.ReplaceAll(recordSchema, ",", ",//\n"):                                 true,
		strings.ReplaceAll(recordSchema, ":", "/**/:/*\"*/"):                           true,
		strings.Replace(recordSchema, `"R"`, `"R","doc":"/* \\\" // */"`, 1) + " // x": true,
		recordSchema + "/* x":             false,
		recordSchema + "/ x":              false,
		"# x\n" + recordSchema:            false,
		`{"type":"record","name":"R /* x`: false,
	} {
		s, err := Parse(schema)
		if (err == nil) != ok {
			t.Errorf("%s: %v", schema, err)
		}
		if err == nil && (len(s.Warnings()) > 0 || len(s.root.fields) != 2) {
			t.Errorf("%s: %v", schema, s.Warnings())
		}
	}
	const comments = `{"a": "x // y", /* z */ "b": 1} // c`
	if got := withoutComments(comments); got != `{"a": "x // y",   "b": 1} ` {
		t.Errorf("%q", got)
	}
}
