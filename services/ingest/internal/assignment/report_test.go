package assignment

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestReportRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Report{Generation: rapid.Int32().Draw(t, "generation"), Capacity: rapid.Uint64().Draw(t, "capacity")}
		for _, topic := range rapid.SliceOfNDistinct(rapid.StringN(0, 20, 60), 0, 5, rapid.ID).Draw(t, "topics") {
			for _, n := range rapid.SliceOfNDistinct(rapid.Int32Min(0), 1, 5, rapid.ID).Draw(t, "partitions") {
				r.Holds = append(r.Holds, Share{Partition{topic, n}, rapid.Uint64().Draw(t, "rate")})
			}
		}
		got, err := ParseReport(r.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// What other clients send is no report, and not an error of ours.
func TestForeignUserDataIsNoReport(t *testing.T) {
	for _, b := range []string{"", "\x00\x00\x00\x07", "\x00\x00\x00\x07wb\x02", "waybill 3"} {
		if _, err := ParseReport([]byte(b)); !errors.Is(err, ErrNoReport) {
			t.Errorf("%q: %v", b, err)
		}
	}
	head := "\x00\x00\x00\x07wb\x01"
	for _, tt := range []struct{ bytes, want string }{
		{head, "cut off"},
		{head + "\x05\x03ab", "name is cut off"},
		{head + "\x05\x02ab\x00", "without partitions"},
		{head + "\x05\x02ab\x02\x01\x01\x01\x01", "comes twice"},
		{head + "\x05\x02ab\x7f\x01\x01", "most"},
		{head + "\x05\x02ab\x01\xff\xff\xff\xff\x7f\x01", "most"},
		{head + strings.Repeat("\x01", MaxReport), "the most"},
	} {
		_, err := ParseReport([]byte(tt.bytes))
		if err == nil || errors.Is(err, ErrNoReport) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.20q: %v, want %q in it", tt.bytes, err, tt.want)
		}
	}
}

// A member with very many partitions tells of as many as a report may hold.
func TestReportIsBounded(t *testing.T) {
	r := Report{Generation: 1}
	for i := range int32(100_000) {
		r.Holds = append(r.Holds, Share{Partition{strings.Repeat("t", 1+int(i/1000)), i % 1000}, 1 << 60})
	}
	b := r.Append(nil)
	got, err := ParseReport(b)
	if err != nil || len(b) > MaxReport || len(got.Holds) < 10_000 {
		t.Errorf("%d bytes, %d partitions, %v", len(b), len(got.Holds), err)
	}
}

func FuzzParseReport(f *testing.F) {
	r := Report{Generation: 7, Capacity: 1 << 30, Holds: []Share{
		{Partition{"a", 0}, 5}, {Partition{"a", 9}, Unknown}, {Partition{"b", 1}, 1 << 40},
	}}
	f.Add(r.Append(nil))
	f.Add([]byte("\x00\x00\x00\x07"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReport(b)
		if err != nil {
			return
		}
		again, err := ParseReport(r.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
