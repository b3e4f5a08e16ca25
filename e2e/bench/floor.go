package bench

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// floors are the programs that measure one piece of the way alone: the benchmark BenchmarkFloor of each of these
// packages, built once and run as a process of its own. They are tests because only their packages may know the library
// that they measure.
var floors = []struct{ name, module, pkg string }{
	{"kafka", "services/ingest", "./internal/source"},
	{"decode", "services/ingest", "./internal/contract"},
	{"hop", "pkg", "./lanewire"},
	{"bigquery", "services/writer", "./internal/sink"},
}

// given is what a floor is given, in the file $WAYBILL_FLOOR. Each reads what it needs.
type given struct {
	Brokers                 []string
	Topic                   string
	Records                 int64
	CA, Cert, Key           string
	Contracts               string
	Sample, Blocks          string
	BlockBytes              int
	GRPC, REST, Credentials string
	Table                   string
	Lanes                   int
}

// sampleBytes bounds the records that decode, hop and BigQuery are measured on. They are those that the topic begins
// with.
const sampleBytes = 24 << 20

// blockBytes is what ingest's batches grow to.
const blockBytes = 1 << 20

// buildFloors builds the programs into a folder. It needs the source and the go command.
func (b *Bench) buildFloors(ctx context.Context, dir string) error {
	for _, f := range floors {
		profile, err := filepath.Abs(filepath.Join(b.Root, "services", "services.pgo")) // theirs too
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-pgo="+profile, "-o", filepath.Join(dir, f.name), f.pkg)
		cmd.Dir = filepath.Join(b.Root, f.module)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build the floor %s in %s: %w\n%s", f.name, cmd.Dir, err, text)
		}
	}
	return nil
}

// floorKey is what decode, hop and BigQuery depend on.
type floorKey struct {
	workload string
	lanes    int
	tls      bool
}

// floor measures all pieces on the topic and the emulator of a world. The services of that world should be idle.
func (b *Bench) floor(ctx context.Context, w *world, rows int64) (f Floor, err error) {
	g := given{
		Brokers: w.stack.Seeds(), Topic: w.workload.Topic, Records: rows, Lanes: w.variant.Lanes,
		BlockBytes: blockBytes, Contracts: filepath.Join(w.dir, "contracts.yaml"),
		Sample: filepath.Join(w.dir, "sample"), Blocks: filepath.Join(w.dir, "blocks"),
		GRPC: w.stack.Endpoints.BigQueryGRPC,
		REST: "http://" + w.stack.Endpoints.BigQueryREST,
	}
	if g.Table, err = w.floorTable(ctx); err != nil {
		return f, err
	}
	var env []string
	if t := w.stack.Config.TLS; t != nil {
		g.CA, g.Cert, g.Key, g.Credentials = t.CA, t.Cert, t.Key, t.Credentials
		env = append(env, "SSL_CERT_FILE="+t.CA)
	}
	if err := os.WriteFile(g.Contracts, []byte("contracts:\n"+w.workload.contracts), 0o644); err != nil {
		return f, err
	}
	if err := w.workload.sample(g.Sample, rows); err != nil {
		return f, err
	}
	spec := filepath.Join(w.dir, "floor.json")
	text, err := json.Marshal(g)
	if err != nil {
		return f, err
	}
	if err := os.WriteFile(spec, text, 0o644); err != nil {
		return f, err
	}
	env = append(env, "WAYBILL_FLOOR="+spec)
	// What the topic and its compression do not matter to is measured once in a round.
	key := floorKey{w.variant.Workload, w.variant.Lanes, w.variant.TLS}
	cost, known := b.pieces[key]
	if !known {
		cost = map[string]float64{}
		b.pieces[key] = cost
	}
	for _, program := range floors {
		if known && program.name != "kafka" {
			continue
		}
		found, err := b.runFloor(ctx, program.name, env)
		if err != nil {
			return f, err
		}
		for name, ns := range found {
			cost[program.name+name] = ns / 1e3 // nanoseconds a row are milliseconds a million
		}
	}
	f = Floor{
		Kafka: cost["kafka"], Decode: cost["decode"], Hop: cost["hop"],
		BigQuery: cost["bigquery/encoded"], Messages: cost["bigquery/messages"],
	}
	f.Total = f.Kafka + f.Decode + f.Hop + f.BigQuery
	return f, nil
}

// floorTable makes a table for the floor of the client. The emulator looks at none of its rows.
func (w *world) floorTable(ctx context.Context) (string, error) {
	const table = "floor"
	err := w.stack.CreateTable(ctx, table, []column{{"a", "STRING"}})
	return "projects/" + stack.Project + "/datasets/" + stack.Dataset + "/tables/" + table, err
}

// runFloor runs one program, and returns processor nanoseconds a row by sub-benchmark.
func (b *Bench) runFloor(ctx context.Context, name string, env []string) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(b.floorDir, name), "-test.run", "^$", "-test.bench",
		"^BenchmarkFloor$", "-test.benchtime", "1x")
	cmd.Env = append(os.Environ(), env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("floor %s: %w\n%s%s", name, err, text, &errs)
	}
	found := parse(text)
	if len(found) == 0 {
		return nil, fmt.Errorf("floor %s printed no cpu-ns/row:\n%s", name, text)
	}
	return found, nil
}

// sampled is a record as the floor of decoding reads it.
type sampled struct {
	Key, Value []byte
	Headers    [][2]string
}

// sample writes the records that the topic begins with, at most sampleBytes of them, into a file.
func (w *Workload) sample(path string, rows int64) error {
	next := events.New(generator()).Of(w.Topic)
	var records []sampled
	for i, size := uint64(0), 0; size < sampleBytes && int64(i) < rows; i++ {
		e := next(nil, i)
		s := sampled{Key: e.Key, Value: e.Value}
		for _, h := range e.Headers {
			s.Headers = append(s.Headers, [2]string{h.Key, h.Value})
		}
		records = append(records, s)
		size += len(e.Value)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := gob.NewEncoder(file).Encode(records); err != nil {
		_ = file.Close() // the error to report is the other one
		return err
	}
	return file.Close()
}
