package ingest

import (
	"cmp"
	"context"
	"crypto/rand"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/events"
	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/pkg/saturation"
	"github.com/waybill-data/waybill/pkg/service"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/overview"
	"github.com/waybill-data/waybill/services/ingest/internal/placement"
	"github.com/waybill-data/waybill/services/ingest/internal/writers"
)

// name is what this ingest is called where people look: the member's own name, or that of the host with the port.
func (c *Config) name(address net.Addr) string {
	if c.Kafka.InstanceID != "" {
		return c.Kafka.InstanceID
	}
	host, _ := os.Hostname()
	_, port, _ := net.SplitHostPort(address.String())
	return cmp.Or(host, "ingest") + ":" + port
}

// checkPeers reports what is wrong with the names of other ingests.
func checkPeers(report func(key, message, remedy string), peers []string) {
	for _, p := range peers {
		if host, port, err := net.SplitHostPort(p); err != nil || host == "" || port == "" {
			report("peers", "\""+p+"\" is not an address", "write host:port, of the gRPC port of ingests")
		}
	}
}

// local is what this ingest knows of itself: fleetview.Local.
type local struct {
	config   *Config
	overview *overview.Overview
	lanes    *roster
	fleet    *writers.Fleet
	meter    *saturation.Meter
	ready    func() error
	self     *adminv1.ProcessResponse
	started  time.Time
	drifts   drifts
}

var _ fleetview.Local = (*local)(nil)

// newLocal is for a process that listens.
func newLocal(
	c *Config, env service.Env, lanes *roster, fleet *writers.Fleet, meter *saturation.Meter, ready func() error,
) *local {
	address := env.GRPC.Addr()
	self := &adminv1.ProcessResponse{Process: c.name(address), Address: address.String(), Instance: rand.Text()}
	return &local{
		config: c, lanes: lanes, fleet: fleet, meter: meter, ready: ready, self: self, started: time.Now(),
		overview: &overview.Overview{
			Ingest: self.GetProcess(), Lanes: lanes.seen, Goals: tables{lanes}, Log: env.Log,
			Letters: lanes.letters,
		},
	}
}

// Tables implements fleetview.Local.
func (l *local) Tables() []*adminv1.Table { return l.overview.Tables() }

// Lanes implements fleetview.Local.
func (l *local) Lanes(topic string, partition *int32, table string) []*adminv1.Lane {
	return l.overview.Matching(topic, partition, table)
}

// DeadLetters implements fleetview.Local.
func (l *local) DeadLetters() []*adminv1.DeadLetterCount {
	return l.lanes.letters.List(time.Now())
}

// History implements fleetview.Local.
func (l *local) History(table string) []*adminv1.StateInterval { return l.overview.History(table) }

// Process implements fleetview.Local.
func (l *local) Process() *adminv1.Process {
	p := fleetview.NewProcess("ingest", l.self, l.started, l.meter.Shares(), l.ready())
	bytes, lanes := l.overview.BytesPerSecond()
	p.Lanes, p.BytesPerSecond = int32(lanes), bytes //nolint:gosec // partitions
	p.BudgetUsed, p.BudgetSize = l.lanes.budget.Used(), l.lanes.budget.Size()
	p.Home = "group " + l.config.Kafka.Group
	return p
}

// Plan implements fleetview.Local.
func (l *local) Plan() *adminv1.Plan {
	picture := l.fleet.Plan()
	p := &adminv1.Plan{Ingest: l.self.GetProcess(), Settling: picture.Settling, Problem: picture.Problem}
	for _, w := range picture.Writers {
		p.Writers = append(p.Writers, &adminv1.PlannedWriter{
			Writer: cmp.Or(w.Name, w.Address), State: string(w.State), Why: w.Why,
			Lanes: int32(w.Lanes), //nolint:gosec // partitions
			Share: w.Share, Fair: w.Fair, Address: w.Address, Partitions: ranges(w.Partitions),
			Latency: durationpb.New(time.Duration(w.Latency * float64(time.Second))),
		})
	}
	for i := len(picture.Moves) - 1; i >= 0; i-- {
		p.Moves = append(p.Moves, move(&picture.Moves[i]))
	}
	for _, n := range picture.Ahead {
		p.Ahead = append(p.Ahead, &adminv1.NextMove{
			Topic: n.Lane.Topic, Partition: n.Lane.Partition, From: n.From, To: n.To, Reason: n.Reason,
			WaitsFor: n.Waits,
		})
	}
	for _, lane := range picture.Unplaced[:min(len(picture.Unplaced), mostUnplaced)] {
		p.Unplaced = append(p.Unplaced, lane.String())
	}
	return p
}

const mostUnplaced = 100

// ranges writes lanes, which are in order, one text a topic: orders/0-3,7.
func ranges(lanes []placement.LaneID) []string {
	var out []string
	for i := 0; i < len(lanes); {
		topic := lanes[i].Topic
		var text strings.Builder
		text.WriteString(topic + "/")
		for first := true; i < len(lanes) && lanes[i].Topic == topic; first = false {
			from := lanes[i].Partition
			to := from
			for i++; i < len(lanes) && lanes[i].Topic == topic && lanes[i].Partition == to+1; i++ {
				to++
			}
			if !first {
				text.WriteString(",")
			}
			if text.WriteString(strconv.Itoa(int(from))); to > from {
				text.WriteString("-" + strconv.Itoa(int(to)))
			}
		}
		out = append(out, text.String())
	}
	return out
}

func move(d *placement.Done) *adminv1.Move {
	return &adminv1.Move{
		Time: timestamppb.New(d.At), Topic: d.Lane.Topic, Partition: d.Lane.Partition, From: d.From, To: d.To,
		Reason: d.Reason, Outcome: d.Outcome, Took: durationpb.New(d.Took),
	}
}

// view is what this ingest serves as admin.v1, and what to close in the end.
func (l *local) view(ring *events.Ring) (view *fleetview.View, seen *records, closed func(), err error) {
	options, err := l.config.Writer.options(nil)
	if err != nil {
		return nil, nil, nil, err
	}
	ingests := &fleetview.Peers{Options: options, Addresses: func(ctx context.Context) ([]fleetview.Address, error) {
		return fleetview.Resolve(ctx, l.config.Peers)
	}}
	carriers := &fleetview.Peers{Options: options, Addresses: func(context.Context) ([]fleetview.Address, error) {
		var out []fleetview.Address
		for _, w := range l.fleet.Picture().Writers {
			out = append(out, fleetview.Address{Dial: w.Address, Authority: l.config.Writer.authority()})
		}
		return out, nil
	}}
	view = &fleetview.View{
		Local: l, Events: ring, Self: l.self, Ingests: ingests.All, Writers: carriers.All,
	}
	seen = &records{
		self: l.self, lanes: l.lanes, config: l.config, overview: l.overview, ingests: ingests.All,
		writers: carriers.All,
	}
	return view, seen, func() { ingests.Close(); carriers.Close() }, nil
}

// authority is the name that the writers' certificates have; empty where each is reached by its own.
func (w *Writer) authority() string {
	if w.Target == "" {
		return ""
	}
	at := strings.LastIndexByte(w.Target, '/')
	return host(w.Target[at+1:])
}
