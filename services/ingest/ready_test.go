package ingest

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/admin"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/kafkatest"
)

// refusingWriter refuses every lane as long as it is set to, as after a table was deleted.
type refusingWriter struct {
	memoryWriter
	refuses atomic.Bool
}

func (w *refusingWriter) Lane(stream grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]) error {
	if w.refuses.Load() {
		return status.Error(codes.FailedPrecondition, "write stream is gone")
	}
	return w.memoryWriter.Lane(stream)
}

// When every lane is refused, the process is not ready and says why, at both ports; and how far it is behind is known
// all the same.
func TestNotReadyWhileEveryLaneIsRefused(t *testing.T) {
	kafka := newCluster(t, kfake.SeedTopics(2, deliveryTopic))
	writer := &refusingWriter{}
	writer.refuses.Store(true)
	c := testConfig(kafka, startWriter(t, writer))
	produce(t, kafka, 2, 0, 20)
	s := run(t, c)
	kafkatest.Eventually(t, "the reason", func() bool {
		text := get(t, s.admin+"/readyz")
		return strings.Contains(text, "none of the 2 partitions of this member moves") &&
			strings.Contains(text, "2 of them: the writer refuses the lane: write stream is gone")
	})
	c.Admin.Listen = strings.TrimPrefix(s.admin, "http://")
	kafkatest.Eventually(t, "health says so", func() bool {
		err := admin.Probe(t.Context(), c.Admin.Listen, nil, admin.IsReady)
		return err != nil && strings.Contains(err.Error(), "not ready")
	})
	kafkatest.Eventually(t, "the lag", func() bool {
		var lanes []struct {
			State string
			Lag   int64
		}
		if err := json.Unmarshal([]byte(get(t, s.admin+"/lanes")), &lanes); err != nil || len(lanes) != 2 {
			t.Fatalf("%v, %v", lanes, err)
		}
		return lanes[0].Lag == 10 && lanes[1].Lag == 10 &&
			strings.Contains(get(t, s.admin+"/metrics"),
				`waybill_ingest_lag_records{partition="1",topic="`+deliveryTopic+`"} 10`)
	})
}

// A topic of the contracts that may not be read keeps the process from being ready, though it is the only one and there
// is no lane.
func TestNotReadyWhileTheTopicIsRefused(t *testing.T) {
	kafka := newCluster(t)
	policy := "compact"
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, map[string]*string{"cleanup.policy": &policy},
		deliveryTopic); err != nil {
		t.Fatal(err)
	}
	c := testConfig(kafka, "127.0.0.1:1")
	s := run(t, c)
	kafkatest.Eventually(t, "the reason", func() bool {
		return strings.Contains(get(t, s.admin+"/readyz"), "topic "+deliveryTopic+" is refused: the topic is compacted")
	})
	c.Admin.Listen = strings.TrimPrefix(s.admin, "http://")
	if err := admin.Probe(t.Context(), c.Admin.Listen, nil, admin.IsReady); err == nil ||
		!strings.Contains(err.Error(), "not ready") {
		t.Errorf("health: %v", err)
	}
	if err := admin.Probe(t.Context(), c.Admin.Listen, nil, admin.IsLive); err != nil {
		t.Errorf("it is there all the same: %v", err)
	}
	conn, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	kafkatest.Eventually(t, "gRPC health says no as well", func() bool {
		response, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
		return err == nil && response.GetStatus() == healthv1.HealthCheckResponse_NOT_SERVING
	})
}

// A member without partitions stands by: it is ready.
func TestStandbyIsReady(t *testing.T) {
	if err := (&roster{}).ready(); err != nil {
		t.Error(err)
	}
}
