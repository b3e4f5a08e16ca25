package table_test

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/sandbox/internal/table"
)

func TestPrint(t *testing.T) {
	var b strings.Builder
	err := table.Table{
		Header: []string{"city", "parcels", "note"},
		Right:  []bool{false, true},
		Rows:   [][]string{{"Łódź", "7", ""}, {"São Paulo", "1,200", "late"}},
	}.Print(&b)
	want := "  city       parcels  note\n  Łódź             7\n  São Paulo    1,200  late\n"
	if err != nil || b.String() != want {
		t.Errorf("%v, got\n%s want\n%s", err, b.String(), want)
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", -123456: "-123,456",
		1234567: "1,234,567",
	} {
		if got := table.Count(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	if one, more := table.Of(1, "row"), table.Of(1200, "row"); one != "1 row" || more != "1,200 rows" {
		t.Errorf("%s, %s", one, more)
	}
}
