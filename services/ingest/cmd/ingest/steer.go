package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/terminal"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// acting are the flags of commands that act.
type acting struct {
	service.File
	At        string `placeholder:"HOST:PORT" help:"gRPC port of the ingest to ask (default: grpc.listen of the configuration)."`
	Validate  bool   `help:"Say what would happen, and change nothing."`
	Reason    string `placeholder:"TEXT" help:"Why, for those who read the events."`
	RequestID string `placeholder:"ID" help:"Tells this act from others: the second one with the same id does nothing."`
	Output    string `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

func (a *acting) act() *adminv1.Act {
	return &adminv1.Act{ValidateOnly: a.Validate, Reason: a.Reason, RequestId: a.RequestID}
}

// actWithin is how long an act may take.
const actWithin = 30 * time.Second

// steers acts.
type steers = adminv1.SteeringServiceClient

// acted is what an act returns.
type acted interface {
	proto.Message
	GetResult() *adminv1.Result
}

// do acts, and shows what that returned; more shows what it has beside its result.
func do[R acted](
	ctx context.Context, a *acting, std cli.Streams, call func(context.Context, steers) (R, error),
	more func(io.Writer, R),
) error {
	conn, err := dial(a.Config, a.At)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	r, err := call(ctx, adminv1.NewSteeringServiceClient(conn))
	if err != nil {
		return remoteError(err, "--at")
	}
	if a.Output == "json" {
		return asJSON(std.Out, r)
	}
	showResult(std.Out, terminal.Width(std.Out), r.GetResult())
	if more != nil {
		more(std.Out, r)
	}
	return nil
}

// showResult says what an act did.
func showResult(out io.Writer, width int, r *adminv1.Result) {
	text := r.GetSummary()
	if r.GetRepeated() {
		text += "; that was done before by the same request"
	}
	say(out, width, strings.ToUpper(text[:1])+text[1:]+".\n")
	for _, e := range r.GetEarlier() {
		say(out, width, fmt.Sprintf("Earlier, at %s: %s %s\n", clockOf(e.GetTime()), e.GetKind(), oneLine(e.GetText())))
	}
	for _, a := range r.GetResponses() {
		if a.GetError() != "" {
			say(out, width, fmt.Sprintf("%s does not respond, and learns of it by itself: %s\n", a.GetAddress(),
				oneLine(a.GetError())))
		}
	}
	fmt.Fprintf(out, "Request id: %s\n", r.GetRequestId())
}

// targeted are the flags that say what is acted on.
type targeted struct {
	Topic     string `placeholder:"TOPIC" help:"All lanes of this topic."`
	Partition *int32 `placeholder:"N" help:"Only this partition of the topic."`
	Table     string `placeholder:"TABLE" help:"All lanes of the topics that feed this table."`
}

func (t *targeted) target() *adminv1.Target {
	return &adminv1.Target{Topic: t.Topic, Partition: t.Partition, Table: t.Table}
}

type pauseCmd struct {
	acting
	targeted
	For  time.Duration `placeholder:"2h" help:"For how long: 1s to 144h."`
	List bool          `help:"List the pauses that hold, and change nothing."`
}

// Help is shown below the flags.
func (pauseCmd) Help() string {
	return `Lanes that are paused settle what they have sent and read nothing more; their positions stay. A pause has an
end, and holds across restarts and rebalances.

Examples:
  ingest pause --topic orders --for 2h --reason "the table is being moved"
  ingest pause --topic orders --partition 3 --for 10m
  ingest pause --table delivery_events --for 1h --validate
  ingest pause --list -o json

Exit status: 0 done; 1 refused, with nothing changed, or nobody responds; 2 wrong usage.`
}

// Run pauses.
func (c *pauseCmd) Run(ctx context.Context, std cli.Streams) error {
	if c.List {
		return c.list(ctx, std)
	}
	return do(ctx, &c.acting, std, func(ctx context.Context, s steers) (*adminv1.PauseResponse, error) {
		return s.Pause(ctx, &adminv1.PauseRequest{Act: c.act(), Target: c.target(), Length: durationpb.New(c.For)})
	}, func(out io.Writer, r *adminv1.PauseResponse) {
		if len(r.GetOtherTables()) > 0 {
			fmt.Fprintf(out, "The same lanes feed: %s\n", strings.Join(r.GetOtherTables(), ", "))
		}
	})
}

func (c *pauseCmd) list(ctx context.Context, std cli.Streams) error {
	conn, err := dial(c.Config, c.At)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, respondsWithin)
	defer cancel()
	r, err := adminv1.NewSteeringServiceClient(conn).ListPauses(ctx, &adminv1.ListPausesRequest{})
	if err != nil {
		return remoteError(err, "--at")
	}
	if c.Output == "json" {
		return asJSON(std.Out, r)
	}
	if len(r.GetLanes()) == 0 {
		fmt.Fprintln(std.Out, "Nothing is paused.")
		return nil
	}
	t := newTable(std.Out, terminal.Width(std.Out), nil, "lane", "until", "paused as", "by", "reason")
	for _, l := range r.GetLanes() {
		t.add(fmt.Sprintf("%s/%d", l.GetTopic(), l.GetPartition()), l.GetUntil().AsTime().Format(time.RFC3339),
			l.GetScope(), l.GetBy(), l.GetReason())
	}
	t.flush()
	return nil
}

type resumeCmd struct {
	acting
	targeted
}

// Help is shown below the flags.
func (resumeCmd) Help() string {
	return `Examples:
  ingest resume --topic orders
  ingest resume --topic orders --partition 3

Exit status: 0 done, or nothing of it was paused; 1 refused, with nothing changed, or nobody responds; 2 wrong usage.`
}

// Run resumes.
func (c *resumeCmd) Run(ctx context.Context, std cli.Streams) error {
	return do(ctx, &c.acting, std, func(ctx context.Context, s steers) (*adminv1.ResumeResponse, error) {
		return s.Resume(ctx, &adminv1.ResumeRequest{Act: c.act(), Target: c.target()})
	}, nil)
}
