package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// Peer measures another program beside Waybill: the same records in the same Kafka, the same BigQuery emulator, which
// counts rows, and the same clock. The two take turns; each reads the whole topic in a group of its own.
type Peer struct {
	// Name is the program's in the report, Command what runs: it must end on SIGTERM. Its environment says where
	// everything is, see peerEnv.
	Name    string
	Command []string
	// Workload is json-270 or proto-270. The peer's table has a column for each field of a record, in their order, and
	// no other.
	Workload string
	Lanes    int
	Codec    string
	// LatencyMS is how long BigQuery takes to respond to an append.
	LatencyMS int
	// Runs is how often each is measured; figures are medians.
	Runs int
	// Rows to move in a run; 0 is the workload's own number.
	Rows int64
	// Bin is the folder of the binaries sandbox, writer and ingest.
	Bin string
	// Progress receives what is going on.
	Progress io.Writer
}

// peerTable is the table that the peer writes to.
const peerTable = "parcel_scans_peer"

// peerEnv gives the peer where everything is.
func peerEnv(w *world) []string {
	e := w.stack.Endpoints
	return []string{
		"PEER_KAFKA=" + e.Kafka, "PEER_TOPIC=" + w.workload.Topic, "PEER_GROUP=peer",
		"PEER_FORMAT=" + peerFormats[w.workload.Name], "PEER_BIGQUERY_GRPC=" + e.BigQueryGRPC,
		"PEER_BIGQUERY_REST=http://" + e.BigQueryREST, "PEER_PROJECT=" + stack.Project, "PEER_DATASET=" + stack.Dataset,
		"PEER_TABLE=" + peerTable,
	}
}

// peerFormats are the workloads whose records a program can send as they lie, and how they are written.
var peerFormats = map[string]string{"json-270": "json", "proto-270": "protobuf"}

// Run measures.
func (p *Peer) Run(ctx context.Context) (PeerReport, error) {
	report := PeerReport{
		Machine: thisMachine(), Workload: p.Workload, Lanes: p.Lanes, Codec: p.Codec, LatencyMS: p.LatencyMS,
		Runs: p.Runs,
	}
	variant, path, err := p.check()
	if err != nil {
		return report, err
	}
	report.Rows = p.Rows
	if report.Rows == 0 {
		report.Rows = variant.workload().Rows
	}
	b := Bench{Bin: p.Bin, Progress: p.Progress}
	b.say("what %s writes", p.Name)
	if err := p.look(ctx, &b, variant, path); err != nil {
		return report, err
	}
	var waybill, peer []PeerResult
	for run := range p.Runs {
		b.say("run %d of %d: %d rows", run+1, p.Runs, report.Rows)
		one, other, err := p.once(ctx, &b, variant, path, report.Rows, run%2 == 1)
		if err != nil {
			return report, err
		}
		waybill, peer = append(waybill, one), append(peer, other)
	}
	report.Waybill, report.Peer = middlePeer("waybill", waybill), middlePeer(p.Name, peer)
	return report, nil
}

// check says what is wrong with what was asked for, and where the program is.
func (p *Peer) check() (v Variant, path string, err error) {
	if peerFormats[p.Workload] == "" {
		return v, "", fmt.Errorf("workload %q: choose json-270 or proto-270, whose records a program can send as "+
			"they lie",
			p.Workload)
	}
	if p.Runs < 1 || p.Rows < 0 {
		return v, "", fmt.Errorf("%d runs of %d rows: runs must be positive, rows not negative", p.Runs, p.Rows)
	}
	if len(p.Command) == 0 {
		return v, "", errors.New("no program to measure: put its command last, behind --")
	}
	all, err := Choice{
		Workloads: []string{p.Workload}, Lanes: []int{p.Lanes}, Codecs: []string{p.Codec},
		LatencyMS: []int{p.LatencyMS},
	}.variants()
	if err != nil {
		return v, "", err
	}
	path, err = exec.LookPath(p.Command[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return v, "", fmt.Errorf("the program to measure: %w", err)
	}
	return all[0], path, nil
}

// once measures both on one topic. Who comes first finds it as it was produced, so they change places.
func (p *Peer) once(ctx context.Context, b *Bench, v Variant, path string, rows int64, peerFirst bool) (waybill,
	peer PeerResult, err error,
) {
	w, err := b.raise(ctx, v, nil)
	if err != nil {
		return waybill, peer, err
	}
	defer w.fall()
	if err := w.createPeerTable(ctx); err != nil {
		return waybill, peer, err
	}
	produced, err := w.produce(ctx, rows, 0)
	if err != nil {
		return waybill, peer, err
	}
	size := float64(produced) / float64(rows)
	services := mover{
		start: w.stack.UpServices, stop: w.stopServices,
		processes: []*stack.Process{w.stack.Writers[0].Process, w.stack.Ingests[0].Process},
	}
	other := p.mover(w, path)
	order := []func() error{
		func() (err error) { b.say("  waybill"); waybill, err = w.moves(ctx, services, rows, size); return err },
		func() (err error) { b.say("  %s", p.Name); peer, err = w.moves(ctx, other, rows, size); return err },
	}
	if peerFirst {
		order[0], order[1] = order[1], order[0]
	}
	if err := order[0](); err != nil {
		return waybill, peer, err
	}
	return waybill, peer, order[1]()
}

// mover is what moves the topic's records into BigQuery.
type mover struct {
	start     func(context.Context) error
	stop      func() error
	processes []*stack.Process
}

// mover runs the program in a world.
func (p *Peer) mover(w *world, path string) mover {
	program := &stack.Process{
		Name: p.Name, Path: path, Args: p.Command[1:], Env: peerEnv(w), Log: filepath.Join(w.dir, "logs", "peer.log"),
	}
	return mover{
		start: func(context.Context) error { return program.Start() }, stop: func() error { return endGroup(program) },
		processes: []*stack.Process{program},
	}
}

// moves lets m move the whole topic. What is counted begins when the emulator has the first rows and ends when it has
// the last one, on both sides of the comparison: neither how long a program takes to start nor what it does to stop.
func (w *world) moves(ctx context.Context, m mover, rows int64, size float64) (r PeerResult, err error) {
	defer func() { err = errors.Join(err, m.stop()) }()
	var first int64
	var began time.Time
	var cpu time.Duration
	err = w.moved(ctx, m, rows, func(n int64) (err error) {
		if first == 0 && n > 0 {
			first, began = n, time.Now()
			cpu, err = groupTime(m.processes)
		}
		return err
	})
	if err != nil {
		return r, err
	}
	counted := float64(rows - first)
	if counted < float64(rows)/2 {
		return r, fmt.Errorf("%d of %d rows came at once: that is too few rows for a figure, raise --rows", first, rows)
	}
	spent, err := groupTime(m.processes)
	if err != nil {
		return r, err
	}
	r.RowsPerS = counted / time.Since(began).Seconds()
	r.CPU = (spent - cpu).Seconds() / counted * 1e6
	r.MBPerCPU = size / r.CPU
	r.PeakMB, err = groupPeak(m.processes)
	return r, err
}

// moved starts m and waits until the emulator has so many rows of it; report is given how many there are.
func (w *world) moved(ctx context.Context, m mover, rows int64, report func(int64) error) error {
	before, err := w.taken(ctx)
	if err != nil {
		return err
	}
	w.movers = m.processes
	if err := m.start(ctx); err != nil {
		return err
	}
	return w.watch(ctx, before+rows, 5*time.Millisecond, func(n int64) error {
		for _, p := range m.processes {
			if !p.Running() {
				return fmt.Errorf("%s ended after %d of %d rows; the end of its log:\n%s",
					p.Name, n-before, rows, stack.Tail(p.Log, 8))
			}
		}
		return report(n - before)
	})
}

// endGroup asks a program to stop, and ends whatever it has started and left behind.
func endGroup(p *stack.Process) error {
	if !p.Running() {
		return nil
	}
	pid := p.Pid()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	// How it ends is its own affair: the rows are counted.
	select {
	case <-p.Exited():
	case <-time.After(10 * time.Second):
	}
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end %s: %w", p.Name, err)
	}
	<-p.Exited()
	return nil
}
