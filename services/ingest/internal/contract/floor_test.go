package contract_test

import (
	"encoding/gob"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// BenchmarkFloor turns the records of a file into blocks of rows, header to row, on one goroutine, and leaves the
// blocks in a file for the floors of the hop and of the sink. `make bench` runs it, on records of its workload.
func BenchmarkFloor(b *testing.B) {
	path := os.Getenv("WAYBILL_FLOOR")
	if path == "" {
		b.Skip("make bench runs this: it needs records and contracts, named in the file $WAYBILL_FLOOR")
	}
	var floor struct {
		Topic, Contracts, Sample, Blocks string
		BlockBytes                       int
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &floor)
	}
	if err != nil {
		b.Fatal(err)
	}
	var configs struct {
		Contracts []contract.Config `yaml:"contracts"`
	}
	if err := config.Load(floor.Contracts, &configs); err != nil {
		b.Fatal(err)
	}
	set, err := contract.Load(b.Context(), configs.Contracts, filepath.Dir(floor.Contracts), contract.Env{})
	if err != nil {
		b.Fatal(err)
	}
	topic := set.Topic(floor.Topic).Fork()
	records, size := sample(b, floor.Sample, floor.Topic)

	type block struct {
		Rows  int
		Bytes []byte
	}
	var blocks []block
	pass := func(keep bool) {
		rows, first := make([]byte, 0, floor.BlockBytes+floor.BlockBytes/2), 0
		for i := range records {
			r := &records[i]
			m := topic.Match(r)
			var err error
			if rows, err = m.Contract.AppendRow(rows, r, m, 1_800_000_001_000_001); err != nil {
				b.Fatal(err)
			}
			if len(rows) >= floor.BlockBytes || i == len(records)-1 {
				if keep {
					blocks = append(blocks, block{Rows: i + 1 - first, Bytes: append([]byte(nil), rows...)})
				}
				rows, first = rows[:0], i+1
			}
		}
	}
	pass(true) // and grows what is kept
	f, err := os.Create(floor.Blocks)
	if err == nil {
		err = gob.NewEncoder(f).Encode(blocks)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	blocks = nil
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began, wall, passes := processorTime(), time.Now(), 0
		for ; passes == 0 || time.Since(wall) < 500*time.Millisecond; passes++ {
			pass(false)
		}
		used := processorTime() - began
		runtime.ReadMemStats(&after)
		n := float64(passes * len(records))
		b.ReportMetric(float64(used)/n, "cpu-ns/row")
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/n, "alloc-B/row")
		b.ReportMetric(float64(size)*float64(passes)/float64(used)*1e3, "MB/cpu-s")
	}
}

// sample reads the records of a file, and the size of their values.
func sample(b *testing.B, path, topic string) (records []record.Record, size int) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var stored []struct {
		Key, Value []byte
		Headers    [][2]string
	}
	if err := gob.NewDecoder(f).Decode(&stored); err != nil {
		b.Fatal(err)
	}
	for i, s := range stored {
		r := record.Record{
			Topic: topic, Offset: int64(i), TimestampMicros: 1_800_000_000_123_000, Key: s.Key,
			Value: s.Value,
		}
		for _, h := range s.Headers {
			r.Headers = append(r.Headers, record.Header{Key: []byte(h[0]), Value: []byte(h[1])})
		}
		records = append(records, r)
		size += len(s.Value)
	}
	return records, size
}

// processorTime is that of this process in nanoseconds, user and system.
func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
