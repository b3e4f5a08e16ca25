package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/events/schemas"
)

// Workload is records of one kind, and what ingest is to make of them.
type Workload struct {
	Name string
	// Topic takes the records; the sandbox's generator makes those that belong to it.
	Topic string
	// Rows is how many records a run moves unless set otherwise: a few seconds' worth.
	Rows int64
	// contracts is the YAML list for ingest, files what it names.
	contracts string
	files     map[string][]byte
}

// Workloads are all there are, in the order of the tables.
func Workloads() []Workload {
	return []Workload{
		{
			Name: "json-270", Topic: events.ScanJSONTopic, Rows: 2_000_000,
			contracts: scanContract("json", events.ScanJSONTopic, "schema: parcel_scan.avsc"),
			files:     map[string][]byte{"parcel_scan.avsc": []byte(schemas.ParcelScan)},
		},
		{
			Name: "proto-270", Topic: events.ScanProtoTopic, Rows: 2_500_000,
			contracts: scanContract("protobuf", events.ScanProtoTopic,
				"schema: parcel_scan.binpb\n    message: "+schemas.ParcelScanMessage),
			files: map[string][]byte{"parcel_scan.binpb": schemas.ParcelScanSet},
		},
		{Name: "avro-v6", Topic: events.DeliveryTopic, Rows: 120_000, contracts: "  - builtin: delivery.v6\n"},
		{Name: "avro-stock", Topic: events.StockTopic, Rows: 3_000_000, contracts: "  - builtin: stock.v1\n"},
	}
}

func scanContract(format, topic, schema string) string {
	return fmt.Sprintf(`  - topic: %s
    format: %s
    %s
    table: %s
    types: [contracts.parcel.parcel_scans.*]
    event_id: scan_id
    event_time: {field: scanned_at, unit: us}
`, topic, format, schema, topic)
}

// find is the workloads of the given names; all of them for none.
func find(names []string) ([]Workload, error) {
	return pick("workload", names, Workloads(), func(w Workload) string { return w.Name })
}

// pick is those of the given names; all of them for none.
func pick[T any](what string, names []string, all []T, name func(T) string) ([]T, error) {
	if len(names) == 0 {
		return all, nil
	}
	var found []T
	for _, wanted := range names {
		i := slices.IndexFunc(all, func(t T) bool { return name(t) == wanted })
		if i < 0 {
			var known []string
			for _, t := range all {
				known = append(known, name(t))
			}
			return nil, fmt.Errorf("there is no %s %q: choose %s", what, wanted, strings.Join(known, ", "))
		}
		found = append(found, all[i])
	}
	return found, nil
}

// write lays the files that the contracts name into dir.
func (w *Workload) write(dir string) error {
	for name, data := range w.files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generator makes no event that cannot become a row.
func generator() events.Config {
	return events.Config{Seed: 1, ContainerEvery: -1, TruncatedEvery: -1, UnknownTypeEvery: -1}
}
