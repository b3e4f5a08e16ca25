package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/waybill-data/waybill/e2e/stack"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/sandbox/events"
)

// Who may look may not act: every act of a viewer is refused with the right that it lacks, and changes nothing; an
// operator's is done, and its event has the operator's name. The records go on all the while.
func TestActsWithoutTheRight(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	var lines strings.Builder
	for name, rights := range map[string]string{"vera": "viewer", "olga": "viewer,operator"} {
		fmt.Fprintf(&lines, "%x %s %s\n", sha256.Sum256([]byte("a long token of "+name)), name, rights)
	}
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, stack.Config{
		DeliveryPartitions: 1, StockPartitions: 1,
		IngestYAML: "access:\n  open: [health, metrics]\n  tokens: " + file + "\n",
	})
	conn, err := grpc.NewClient(w.Ingests[0].GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	acts, looks := adminv1.NewSteeringServiceClient(conn), adminv1.NewAdminServiceClient(conn)
	as := func(name string) context.Context {
		return metadata.AppendToOutgoingContext(w.ctx, "authorization", "Bearer a long token of "+name)
	}
	w.produce(stack.DeliveryTopic, 50, events.Config{})
	w.settled()
	topic := &adminv1.Target{Topic: stack.DeliveryTopic}
	hour := durationpb.New(time.Hour)
	all := map[string]func(context.Context) error{
		"pause": func(ctx context.Context) error {
			_, err := acts.Pause(ctx, &adminv1.PauseRequest{Target: topic, Length: hour})
			return err
		},
		"resume": func(ctx context.Context) error {
			_, err := acts.Resume(ctx, &adminv1.ResumeRequest{Target: topic})
			return err
		},
		"move": func(ctx context.Context) error {
			_, err := acts.MoveLane(ctx, &adminv1.MoveLaneRequest{Topic: stack.DeliveryTopic, Writer: "writer"})
			return err
		},
		"drain": func(ctx context.Context) error {
			_, err := acts.DrainWriter(ctx, &adminv1.DrainWriterRequest{Writer: "writer", Length: hour})
			return err
		},
		"spread": func(ctx context.Context) error { _, err := acts.Spread(ctx, &adminv1.SpreadRequest{}); return err },
		"reload": func(ctx context.Context) error {
			_, err := acts.ReloadContracts(ctx, &adminv1.ReloadContractsRequest{})
			return err
		},
		"replay": func(ctx context.Context) error {
			_, err := acts.Replay(ctx, &adminv1.ReplayRequest{Name: "x", Topic: stack.DeliveryTopic, Suffix: "_x"})
			return err
		},
		"stop": func(ctx context.Context) error {
			_, err := acts.StopReplay(ctx, &adminv1.StopReplayRequest{Name: "x"})
			return err
		},
		"letters": func(ctx context.Context) error {
			stream, err := acts.ReplayDeadLetters(ctx, &adminv1.ReplayDeadLettersRequest{All: true})
			if err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		},
		"skip": func(ctx context.Context) error {
			_, err := acts.SkipRecord(ctx, &adminv1.SkipRecordRequest{
				Topic: stack.DeliveryTopic, Offset: 50, Act: &adminv1.Act{Reason: "x"},
			})
			return err
		},
	}
	for name, act := range all {
		err := act(as("vera"))
		if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "operator") {
			t.Errorf("%s by a viewer: %v", name, err)
		}
		if err := act(w.ctx); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s by nobody: %v", name, err)
		}
	}
	paused, err := acts.ListPauses(as("vera"), &adminv1.ListPausesRequest{})
	if err != nil || len(paused.GetLanes()) != 0 {
		t.Errorf("pauses: %v, %v", paused, err)
	}
	if r, err := looks.ListReplays(as("vera"), &adminv1.ListReplaysRequest{}); err != nil || len(r.GetReplays()) != 0 {
		t.Errorf("replays: %v, %v", r, err)
	}
	said, err := looks.ListEvents(as("vera"), &adminv1.ListEventsRequest{Filter: "operator: "})
	if err != nil || len(said.GetEvents()) != 0 {
		t.Errorf("events: %v, %v", said, err)
	}
	if err := all["pause"](as("olga")); err != nil {
		t.Errorf("pause by an operator: %v", err)
	}
	said, err = looks.ListEvents(as("vera"), &adminv1.ListEventsRequest{Filter: "operator: pause"})
	if err != nil || len(said.GetEvents()) != 1 || !strings.Contains(said.GetEvents()[0].GetText(), "by=olga") {
		t.Errorf("events: %v, %v", said, err)
	}
	if err := all["resume"](as("olga")); err != nil {
		t.Errorf("resume by an operator: %v", err)
	}
	w.produce(stack.DeliveryTopic, 50, events.Config{})
	w.verified()
}
