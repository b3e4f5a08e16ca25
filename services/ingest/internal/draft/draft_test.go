package draft

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The header that names the types is the first of those that sources use which records have, unless it is said.
func TestTypeHeaders(t *testing.T) {
	of := func(said string, names ...string) string {
		r := &record.Record{Topic: "t", TimestampMicros: -1, Value: []byte(`{"a": 1}`)}
		for _, name := range names {
			r.Headers = append(r.Headers, record.Header{Key: []byte(name), Value: []byte("shop.Order")})
		}
		in, err := Of(t.Context(), []*record.Record{r}, Options{Topic: "t", TypeHeader: said}, nil)
		if err != nil || len(in.Types) != 1 {
			t.Fatal(in, err)
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
