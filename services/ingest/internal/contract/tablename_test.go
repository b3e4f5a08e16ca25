package contract

import (
	"strings"
	"testing"
)

// Names of tables are held to BigQuery's rules before anybody asks it.
func TestTableNames(t *testing.T) {
	for name, says := range map[string]string{
		"orders": "", "d.orders": "", "p.d.orders": "", "my-project.d.orders": "",
		"example.com:my-project.d.orders": "", "d_1.Ünïcode tab-le_\u00a01": "", "d." + strings.Repeat("t", 1024): "",
		strings.Repeat("d", 1024) + ".t": "", "d." + strings.Repeat("t", 1025): "has 1025 bytes",
		"d." + strings.Repeat("ä", 513):  "has 1026 bytes",
		strings.Repeat("d", 1025) + ".t": "the dataset has 1025 characters",
		"my-dataset.orders":              `the dataset is "my-dataset"`,
		"p.d-d.orders":                   `the dataset is "d-d"`,
		"a b.d.orders":                   `the project is "a b"`,
		"orders$20260101":                "a sign of partitions",
		"orders_*":                       "a sign of partitions, wildcards",
		"orders@-3600000":                "a sign of partitions, wildcards or times",
		"orders/x":                       "not take all", "d.": "not take all", ".orders": `the dataset is ""`,
		"or`ders": "not take all", "a\nb": "not take all", "😀": "not take all",
	} {
		reason, remedy := tableFault(name)
		if says == "" && reason != "" || !strings.Contains(reason, says) ||
			(reason == "") != (remedy == "" || says == "") {
			t.Errorf("%.40q: %q, %q", name, reason, remedy)
		}
	}
}
