package avro

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// maxDigits is the largest precision that Avro's parser takes.
const maxDigits = 1 << 16

// decimal takes a logical type away that is invalid.
func (m *mender) decimal(v map[string]any, where string) {
	kind, _ := v["type"].(string)
	if v["logicalType"] != "decimal" || kind != "bytes" && kind != "fixed" {
		return
	}
	for _, key := range []string{"precision", "scale"} {
		text, quoted := v[key].(string)
		if _, ok := whole(text); ok && quoted {
			m.mended(where, "the %s %q is in quotes; it is read as the number", key, text)
			v[key] = json.Number(text)
		}
	}
	precision, given := whole(v["precision"])
	scale, scaled := whole(v["scale"])
	size, sized := whole(v["size"])
	var reason string
	switch {
	case !given:
		reason = "a decimal without precision"
	case precision < 1 || precision > maxDigits:
		reason = fmt.Sprintf("a decimal of precision %d", precision)
	case v["scale"] != nil && !scaled || scale < 0 || scale > precision:
		reason = fmt.Sprintf("a decimal of precision %d and scale %v", precision, v["scale"])
	case kind == "fixed" && sized && float64(precision) > math.Floor(math.Log10(2)*float64(8*size-1)):
		reason = fmt.Sprintf("a decimal of precision %d, which %d bytes do not hold,", precision, size)
	default:
		return
	}
	m.mended(where, "%s is no logical type: its values are BYTES, unless columns asks for another column", reason)
	for _, key := range []string{"logicalType", "precision", "scale"} {
		delete(v, key)
	}
}

// whole is a whole number, which may be in quotes.
func whole(v any) (int64, bool) {
	text := fmt.Sprint(v)
	n, err := strconv.ParseInt(text, 10, 32)
	return n, err == nil
}
