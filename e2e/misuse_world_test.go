package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/waybill-data/waybill/e2e/stack"
)

// caughtUp says whether the group has committed all that a partition holds.
func (m *misuse) caughtUp(topic string, partition int32) error {
	ends, err := m.admin.ListEndOffsets(m.ctx, topic)
	if err != nil {
		return err
	}
	committed, err := m.admin.FetchOffsets(m.ctx, stack.Group)
	if err != nil {
		return err
	}
	end, _ := ends.Lookup(topic, partition)
	at, _ := committed.Lookup(topic, partition)
	if at.At != end.Offset {
		return fmt.Errorf("%s/%d: %d of %d committed", topic, partition, at.At, end.Offset)
	}
	return nil
}

// manual is docs/operations.md.
func (m *misuse) manual() string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// documented asserts that the metrics that docs/operations.md, the alerts and the dashboards name are there.
func (m *misuse) documented() {
	m.t.Helper()
	named := map[string]string{} // where each is named
	for _, pattern := range []string{"docs/operations.md", "deploy/prometheus/rules.yaml", "deploy/grafana/*.json"} {
		paths, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(paths) == 0 {
			m.t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				m.t.Fatal(err)
			}
			names := regexp.MustCompile("waybill_(ingest|writer)_[a-z_]+").FindAllString(string(text), -1)
			if len(names) < 3 {
				m.t.Errorf("%s names %d metrics", path, len(names))
			}
			for _, name := range names {
				named[strings.TrimSuffix(name, "_bucket")] = path
			}
		}
	}
	writer, err := m.Writers[0].Metrics(m.ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	m.stop(m.Writers[0]) // which ends calls, so that they are counted
	m.until("ingest has all metrics", func() error {
		found, err := m.Ingests[0].Metrics(m.ctx)
		if err != nil {
			return err
		}
		for name, path := range named {
			if found[name] == nil && writer[name] == nil {
				return fmt.Errorf("%s names metric %s, which no service has", path, name)
			}
		}
		return nil
	})
}

func (m *misuse) lanes(ingest *stack.Service) []stack.Lane {
	lanes, err := ingest.Lanes(m.ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	return lanes
}

func (m *misuse) stop(s *stack.Service) {
	m.t.Helper()
	if err := s.Stop(60 * time.Second); err != nil {
		m.t.Fatal(err)
	}
}

func (m *misuse) commit(topic string, partition int32, at int64, metadata string) {
	m.t.Helper()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: topic, Partition: partition, At: at, LeaderEpoch: -1, Metadata: metadata})
	if err := m.admin.CommitAllOffsets(m.ctx, stack.Group, offsets); err != nil {
		m.t.Fatal(err)
	}
}

// truncate removes the records before an offset, as retention does.
func (m *misuse) truncate(topic string, partition int32, before int64) {
	m.t.Helper()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, partition, before, -1)
	responses, err := m.admin.DeleteRecords(m.ctx, offsets)
	if err == nil {
		err = responses.Error()
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *misuse) reconfigure(from, to string) {
	m.t.Helper()
	path := m.Ingests[0].Config
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), from) {
		m.t.Fatalf("%s has no %q: %v", path, from, err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *misuse) deleteTable(name string) {
	m.t.Helper()
	address := "http://" + m.Endpoints.BigQueryREST + "/bigquery/v2/projects/sandbox/datasets/waybill/tables/" + name
	if r := request(m.ctx, m.t, http.MethodDelete, address, ""); r.code/100 != 2 {
		m.t.Fatalf("delete %s: %s", address, r.status)
	}
}

func place(topic string, partition int32) string { return fmt.Sprintf("%s/%d", topic, partition) }

// rows counts the rows of a table by the place and offset that they come from.
func (m *misuse) rows(table string) map[string]map[int64]int {
	m.t.Helper()
	found := map[string]map[int64]int{}
	if err := m.EachPlace(m.ctx, table, func(p stack.Place) {
		key := place(p.Topic, p.Partition)
		if found[key] == nil {
			found[key] = map[int64]int{}
		}
		found[key][p.Offset]++
	}); err != nil {
		m.t.Fatal(err)
	}
	return found
}

func (m *misuse) counts() map[string]int {
	all := map[string]int{}
	for _, table := range []string{"delivery_events", "physical_stock_events"} {
		for key, offsets := range m.rows(table) {
			for _, n := range offsets {
				all[key] += n
			}
		}
	}
	return all
}

// exactly asserts that a partition has one row for each offset from one on, and none before it.
func (m *misuse) exactly(rows map[string]map[int64]int, topic string, partition int32, from int64) {
	m.t.Helper()
	ends, err := m.admin.ListEndOffsets(m.ctx, topic)
	if err != nil {
		m.t.Fatal(err)
	}
	end, _ := ends.Lookup(topic, partition)
	found := rows[place(topic, partition)]
	if int64(len(found)) != end.Offset-from {
		m.t.Errorf("%s/%d: rows of %d offsets, want those from %d to %d", topic, partition, len(found), from,
			end.Offset)
	}
	for offset := from; offset < end.Offset; offset++ {
		if found[offset] != 1 {
			m.t.Errorf("%s/%d: offset %d has %d rows", topic, partition, offset, found[offset])
		}
	}
}

// logHas says whether a service has logged a text.
func (w *world) logHas(s *stack.Service, text string) bool { return s.Logged(0, text) == nil }
