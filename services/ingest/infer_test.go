package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// inferred is what is inferred of records with these values.
func inferred(values ...string) (*Inference, error) {
	var records []*record.Record
	for i, v := range values {
		records = append(records, &record.Record{Topic: "t", Offset: int64(i), TimestampMicros: -1, Value: []byte(v)})
	}
	in := &Inference{Topic: "t", Sampled: Sampled{Records: len(records)}}
	o := Inferring{Topic: "t"}
	groups, err := newGrouping(in, o, nil).all(context.Background(), records)
	if err != nil {
		return nil, err
	}
	in.draft(groups, o)
	err = in.verify(context.Background(), Defaults(), schemas{}, records)
	return in, err
}

// The header that names the types is the first of those that sources use which records have, unless it is said.
func TestTypeHeaders(t *testing.T) {
	of := func(said string, names ...string) string {
		r := &record.Record{Topic: "t", TimestampMicros: -1, Value: []byte(`{"a": 1}`)}
		for _, name := range names {
			r.Headers = append(r.Headers, record.Header{Key: []byte(name), Value: []byte("shop.Order")})
		}
		in := &Inference{Topic: "t"}
		grouping := newGrouping(in, Inferring{Topic: "t", TypeHeader: said}, nil)
		groups, err := grouping.all(t.Context(), []*record.Record{r})
		if err != nil || len(groups) != 1 {
			t.Fatal(groups, err)
		}
		return in.TypeHeader
	}
	for _, c := range []struct {
		said  string
		names []string
		want  string
	}{
		{"", []string{"other", "__TypeId__", "item_type_name", "ce_type"}, "item_type_name"},
		{"", []string{"__TypeId__", "ce_type"}, "ce_type"},
		{"", []string{"trace", "__TypeId__"}, "__TypeId__"},
		{"", []string{"trace"}, ""},
		{"kind", []string{"kind", "item_type_name"}, "kind"},
		{"kind", []string{"item_type_name"}, ""},
	} {
		if got := of(c.said, c.names...); got != c.want {
			t.Errorf("%q said, of %q: %q, want %q", c.said, c.names, got, c.want)
		}
	}
}

// names are those of fields: of columns, of none, and some that clash.
var names = rapid.OneOf(
	rapid.SampledFrom([]string{
		"id", "ID", "Id", "@timestamp", "order-id", "_EXTRA", "value", "items", "key", "created_at", "_extra",
		"_table_x", "_TABLE_suffix", "a b", "ä", "",
		"1a", "a-b", "a.b", "a[]",
		"__root__", "_PARTITIONDATE", "payload", "null", strings.Repeat("long", 80), "\u0000", "\"", "type",
	}),
	rapid.StringMatching(`[a-z]{1,2}`),
)

// anyJSON generates values of all kinds.
func anyJSON(depth int) *rapid.Generator[json.RawMessage] {
	scalar := rapid.SampledFrom([]string{
		"null", "true", "0", "-1", "1.5", "1e3", "1e400", "9223372036854775808", "123456789012345678901234567890",
		strings.Repeat("9", 60), `""`, `"a"`, `"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05"`, `"2026-01-02"`,
		`"0000-01-01"`, `"9999-12-31T23:59:59.999999999Z"`, `"2026-01-02T03:04Z"`,
		`"2026-01-02 03:04:05+02"`, `"2026-02-30"`, `"\u0000"`, `"\ud83d\ude00"`, "1767225600000", "-0", "1.0",
	})
	return rapid.Custom(func(t *rapid.T) json.RawMessage {
		switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
		case depth > 0 && kind < 2:
			return anyObject(depth-1).Draw(t, "object")
		case depth > 0 && kind < 4:
			var parts []string
			for range rapid.IntRange(0, 3).Draw(t, "items") {
				parts = append(parts, string(anyJSON(depth-1).Draw(t, "item")))
			}
			return json.RawMessage("[" + strings.Join(parts, ",") + "]")
		}
		return json.RawMessage(scalar.Draw(t, "scalar"))
	})
}

func anyObject(depth int) *rapid.Generator[json.RawMessage] {
	return rapid.Custom(func(t *rapid.T) json.RawMessage {
		members := map[string]json.RawMessage{}
		for range rapid.IntRange(0, 5).Draw(t, "members") {
			members[names.Draw(t, "name")] = anyJSON(depth).Draw(t, "value")
		}
		out, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		return out
	})
}

// Whatever JSON objects a topic holds, the contract that is inferred of them compiles and makes a row of each.
func TestInferredContractTakesItsRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var values []string
		for range rapid.IntRange(1, 6).Draw(t, "records") {
			values = append(values, string(anyObject(4).Draw(t, "payload")))
		}
		in, err := inferred(values...)
		if err != nil {
			t.Fatal(err)
		}
		if in.Trial.Rows != len(values) {
			t.Fatalf("%+v\n%s%s", in.Trial.LettersBy, in.Files[0].Content, in.Files[1].Content)
		}
	})
}

// Fields that cannot name a column have another name; only what a contract cannot name stays in _extra.
func TestInferredNames(t *testing.T) {
	in, err := inferred(`{"@timestamp":"2026-01-02T03:04:05Z","order-id":1,"id":2,"ID":3,"größe":12345678901234567890,` +
		`"a.b":4,"in":{"x-y":5,"z":6}}`)
	if err != nil || in.Trial.Rows != 1 {
		t.Fatalf("%v, %+v", err, in)
	}
	text := string(in.Files[0].Content)
	for _, line := range []string{
		`"@timestamp": {name: timestamp}`, `order-id: {name: order_id}`, `ID: {name: ID_2}`,
		`"größe": {name: gr__e, type: NUMERIC}`, `in.x-y: {name: x_y}`,
	} {
		if !strings.Contains(text, "    "+line+"\n") {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
	if strings.Contains(text, "a.b") {
		t.Errorf("a path of two fields:\n%s", text)
	}
}

// Without objects the payload is taken as it is: JSON, text or bytes, the narrowest that takes all.
func TestInferredContractOfOtherPayloads(t *testing.T) {
	for name, tt := range map[string]struct {
		values []string
		want   string
	}{
		"json":  {[]string{"1", "[2]"}, "as: json"},
		"text":  {[]string{"plain", "text", "1"}, "as: string"},
		"bytes": {[]string{"\xff", "text"}, "as: bytes"},
		"empty": {[]string{"", ""}, "as: bytes"},
		"container": {[]string{"Obj\x01\x02\x16avro.schema" +
			avroText(`{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}`) + "\x00" +
			strings.Repeat("s", 16) + "\x02\x02\x08" + strings.Repeat("s", 16)}, "format: avro"},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := inferred(tt.values...)
			if err != nil || in.Trial.Rows != len(tt.values) ||
				!strings.Contains(string(in.Files[0].Content), tt.want) {
				t.Errorf("%v\n%+v\n%s", err, in.Trial, in.Files[0].Content)
			}
		})
	}
}

func avroText(s string) string { return string(appendZigzag(nil, int64(len(s)))) + s }

func appendZigzag(dst []byte, n int64) []byte {
	for u := uint64(n<<1) ^ uint64(n>>63); ; u >>= 7 {
		if u < 0x80 {
			return append(dst, byte(u))
		}
		dst = append(dst, byte(u)|0x80)
	}
}

// Letters of one kind are counted together whatever the values in them; kinds have a bound.
func TestTrialBoundsItsKinds(t *testing.T) {
	tr := &trier{rows: map[RowKind]*RowKind{}, letters: map[LetterKind]*LetterKind{}}
	for i := range 2 * mostKinds {
		r := &record.Record{Partition: 1, Offset: int64(i)}
		tr.letter(r, LetterKind{
			Reason: "undecodable", Contract: "c", Field: fmt.Sprintf("payload.a[%d]", i),
			Err: fmt.Sprintf(`%d is not "%d"`, i, i),
		})
		tr.letter(r, LetterKind{Reason: "unknown_type", Type: fmt.Sprint(i), Err: "no"})
		tr.count(RowKind{Table: "t", Type: fmt.Sprint(i)}, r, 1)
	}
	got := tr.result()
	first := got.LettersBy[0]
	if len(got.LettersBy) != mostKinds+1 || first.Letters != 2*mostKinds || first.Field != "payload.a[0]" ||
		first.Offset != 0 {
		t.Errorf("%d kinds, first %+v", len(got.LettersBy), first)
	}
	if rest := got.LettersBy[1]; rest.Reason != "" || rest.Letters != mostKinds+1 {
		t.Errorf("the rest is %+v", rest)
	}
	rest := RowKind{Rows: mostKinds, Bytes: mostKinds, Null: mostKinds}
	if len(got.RowsBy) != mostKinds+1 || got.RowsBy[0] != rest || got.Rows != 2*mostKinds {
		t.Errorf("%d kinds of rows, first %+v", len(got.RowsBy), got.RowsBy[0])
	}
}
