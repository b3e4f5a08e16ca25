package avro

import (
	"encoding/base64"
	"strings"
)

// unpack reads the default of a decimal that is base64, as versions of Kafka Connect's AvroConverter wrote it where
// Avro wants a character for each byte ("AA==" would be the number 1094794557 and not 0). They left it in
// connect.default as well. Text without padding could be either, and is what Avro says that it is.
func (m *mender) unpack(f *defaulted) {
	text, ok := f.field["default"].(string)
	if !ok || !strings.HasSuffix(text, "=") {
		return
	}
	branches, ok := f.field["type"].([]any)
	if !ok {
		branches = []any{f.field["type"]}
	}
	for _, b := range branches {
		t, _ := b.(map[string]any)
		if t["logicalType"] != "decimal" || t["connect.default"] != any(text) {
			continue
		}
		number, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return
		}
		characters := make([]rune, len(number))
		for i, b := range number {
			characters[i] = rune(b)
		}
		f.field["default"] = string(characters)
		m.mended(f.record+"."+f.name, "its default %q is read as base64, as Kafka Connect wrote defaults of decimals",
			text)
		return
	}
}
