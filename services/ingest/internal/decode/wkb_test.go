package decode

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// wkbSamples are shapes as PostGIS 3 writes them (ST_AsBinary, ST_AsEWKB), and their WKT.
var wkbSamples = map[string]string{
	"01030000000100000000000000":                                                            "!a part of the shape is empty",
	"010500000001000000010200000000000000":                                                  "!a part of the shape is empty",
	"0101000000000000000000f03f0000000000000040":                                            "POINT(1 2)",
	"00000000013ff00000000000004000000000000000":                                            "POINT(1 2)",
	"0101000020e6100000000000000000f03f0000000000000040":                                    "POINT(1 2)",
	"010200000002000000000000000000f03f00000000000000400000000000000840000000000000f0bf":    "LINESTRING(1 2,3 -1)",
	"01030000000100000003000000" + strings.Repeat("000000000000f03f", 6):                    "POLYGON((1 1,1 1,1 1))",
	"0104000000010000000101000000000000000000f03f0000000000000040":                          "MULTIPOINT((1 2))",
	"01050000000100000001020000000100000000000000000000000000000000000000":                  "MULTILINESTRING((0 0))",
	"010600000001000000010300000001000000010000000000000000000000" + "00000000000000000000": "!",
	"010700000001000000" +
		"0101000000000000000000f03f0000000000000040": "GEOMETRYCOLLECTION(POINT(1 2))",
	"010200000000000000": "LINESTRING EMPTY",
	"010200000000000001": "!end too early",
	"01010000a0e6100000": "!no shape of WKB of two dimensions",
	"01e9030000":         "!no shape of WKB",
	"0101000020110f0000000000000000f03f0000000000000040": "!reference system 3857",
	"0101000000000000000000f87f0000000000000040":         "!a coordinate is no number",
	"0101000000000000000000f03f000000000000f87f":         "!a coordinate is no number",
	"0101000000000000000000f03f0000000000c05640":         "!latitude",
	"02": "!end too early",
}

func TestWKB(t *testing.T) {
	for in, want := range wkbSamples {
		shape, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(err)
		}
		got, reason := AppendWKB(nil, shape)
		if part, refused := strings.CutPrefix(want, "!"); refused {
			if reason == "" || !strings.Contains(reason, part) {
				t.Errorf("%s: %s, %q, want %s", in, got, reason, part)
			}
			continue
		}
		if string(got) != want || reason != "" {
			t.Errorf("%s: %s, %q, want %s", in, got, reason, want)
		}
	}
	deep := append(bytes.Repeat([]byte{1, 7, 0, 0, 0, 1, 0, 0, 0}, 1000), 1, 7, 0, 0, 0, 0, 0, 0, 0)
	if _, reason := AppendWKB(nil, deep); !strings.Contains(reason, "deeper") {
		t.Error(reason)
	}
}

// FuzzWKB: what is taken is WKT that a GEOGRAPHY takes.
func FuzzWKB(f *testing.F) {
	for in := range wkbSamples {
		shape, _ := hex.DecodeString(in)
		f.Add(shape)
	}
	f.Fuzz(func(t *testing.T, shape []byte) {
		wkt, reason := AppendWKB(nil, shape)
		if reason != "" {
			return
		}
		if at, wrong := checkGeography(wkt); wrong != "" {
			t.Fatalf("%x is %s: %s at %d", shape, wkt, wrong, at)
		}
	})
}
