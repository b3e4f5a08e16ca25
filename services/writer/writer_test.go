package writer

import (
	"context"
	"errors"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/service"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The example explains every key and shows its default.
func TestExample(t *testing.T) {
	c, err := Load("writer.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults()
	want.BigQuery.Project, want.BigQuery.Dataset = "my-project", "waybill"
	want.Log.Level, want.Log.Format = "info", "text"
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error("the example differs from the defaults:", diff)
	}
	text, err := os.ReadFile("writer.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	key := regexp.MustCompile(`^\s*([a-z_]+):`)
	for i, line := range lines {
		if !key.MatchString(line) || strings.TrimSpace(line) == "log:" {
			continue
		}
		if above := strings.Join(lines[max(0, i-3):i], " "); !strings.Contains(above, "#") {
			t.Errorf("line %d has no explanation: %s", i+1, line)
		}
	}
}

// The configurations that the project runs with load.
func TestConfigurationsInUse(t *testing.T) {
	for _, path := range []string{"../../examples/writer.yaml", "../../deploy/compose/writer.yaml"} {
		if _, err := Load(path); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryProblemAtOnce(t *testing.T) {
	path := t.TempDir() + "/writer.yaml"
	text := "grpc: {listen: 127.0.0.1:7070, tls: {client_ca: none.pem}}\n" +
		"bigquery: {insecure: true, create_dataset: true}\n" +
		"limits: {window_bytes: 64KiB}\nadmin: {listen: 127.0.0.1:7070}\ntypo: 1\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path)
	var problems config.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	found := map[string]bool{}
	for _, p := range problems {
		found[p.Key] = true
		if p.Remedy == "" || p.Line == 0 {
			t.Errorf("no line or remedy: %+v", p)
		}
	}
	for _, key := range []string{
		"grpc.tls", "bigquery.project", "bigquery.dataset", "bigquery.insecure",
		"limits.window_bytes", "admin.listen", "typo",
	} {
		if !found[key] {
			t.Errorf("no problem with %s among %v", key, problems)
		}
	}
}

// Values that parse and could not work, or hardly be meant; and those at the bounds, which do.
func TestValuesThatCannotWork(t *testing.T) {
	for text, want := range map[string]string{
		"drain_timeout: 0s": "drain_timeout: 0s is too short: lanes are cut before BigQuery can respond\n" +
			"    write 1s to 1h; 30s is right for most",
		"drain_timeout: 1s":                        "",
		"drain_timeout: 2h":                        "drain_timeout: 2h is too long",
		"admin: {listen: ':7070', insecure: true}": "admin.listen: is the port of grpc.listen",
		"bigquery: {append_timeout: 10ms, BIG}":    "bigquery.append_timeout: 10ms is too short",
		"bigquery: {append_timeout: 1h, BIG}":      "bigquery.append_timeout: 1h is too long",
		"bigquery: {append_timeout: 10m, BIG}":     "",
		"bigquery: {create_streams_per_second: 1e-6, BIG}": "bigquery.create_streams_per_second: 1e-06 is not a " +
			"useful rate",
		"bigquery: {location: 'europe west3', BIG}": `bigquery.location: "europe west3" is no location`,
		"bigquery: {location: europe-west3, BIG}":   "",
	} {
		const big = "project: test-project, dataset: d"
		if text = strings.ReplaceAll(text, "BIG", big); !strings.HasPrefix(text, "bigquery") {
			text += "\nbigquery: {" + big + "}"
		}
		path := t.TempDir() + "/writer.yaml"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		var problems config.Problems
		if want == "" && err != nil || want != "" && (!errors.As(err, &problems) || len(problems) != 1 ||
			!strings.Contains(err.Error(), want) || problems[0].Line == 0) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// start runs a writer whose BigQuery is away, and returns its connection, a way to stop it, and what Run returned.
func start(t *testing.T, change ...func(*Config)) (*grpc.ClientConn, context.CancelFunc, chan error) {
	t.Helper()
	c := Defaults()
	c.BigQuery.Project, c.BigQuery.Dataset, c.BigQuery.Insecure = "test-project", "d", true
	c.BigQuery.Endpoint.GRPC, c.BigQuery.Endpoint.REST = "127.0.0.1:1", "http://127.0.0.1:1"
	c.Admin.Listen = "127.0.0.1:0"
	for _, f := range change {
		f(&c)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- Run(ctx, c, service.Env{GRPC: listener}) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		conn.Close()
	})
	return conn, stop, ran
}

func finished(t *testing.T, ran chan error) {
	t.Helper()
	select {
	case err := <-ran:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the writer does not stop")
	}
}

// A stop says so to health watchers, drains the open lane, and only then ends.
func TestStopDrainsLanes(t *testing.T) {
	conn, stop, ran := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	watch, err := healthv1.NewHealthClient(conn).Watch(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := watch.Recv(); err != nil || r.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("health: %v, %v", r, err)
	}
	lane, err := lanev1.NewLaneServiceClient(conn).Lane(ctx)
	if err != nil {
		t.Fatal(err)
	}
	send := func(r *lanev1.LaneRequest) {
		t.Helper()
		if err := lane.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	receive := func() *lanev1.LaneResponse {
		t.Helper()
		r, err := lane.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
		Group: "g", Topic: "orders", Position: 7,
		Routes: []*lanev1.Route{{
			Table: "delivery_events",
			Row:   &lanev1.Route_Message{Message: "delivery.v6.DeliveryEvent"},
		}},
	}}})
	opened := receive().GetOpened()
	if opened.GetLimits().GetBlockBytes() != 9<<20 || opened.GetWriter() == "" {
		t.Fatalf("opened %v", opened)
	}
	send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{}}})
	send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Append{Append: &lanev1.Append{Sequence: 1, EndPosition: 8}}})
	if settled := receive().GetSettled(); settled.GetPosition() != 8 {
		t.Fatalf("settled %v", settled)
	}

	stop()
	if r, err := watch.Recv(); err != nil || r.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Fatalf("health: %v, %v", r, err)
	}
	if drain := receive().GetDrain(); drain.GetReason() == "" {
		t.Fatalf("got %v, want Drain", drain)
	}
	select {
	case err := <-ran:
		t.Fatal("the writer ended before its lane:", err)
	default:
	}
	if err := lane.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if closed := receive().GetClosed(); closed.GetPosition() != 8 {
		t.Fatalf("closed %v", closed)
	}
	finished(t, ran)
}

// grpcurl finds the service, and the typed rows in it.
func TestReflection(t *testing.T) {
	conn, stop, ran := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	call, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	request := &reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{
			FileContainingSymbol: "lane.v1.LaneService",
		},
	}
	if err := call.Send(request); err != nil {
		t.Fatal(err)
	}
	r, err := call.Recv()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, b := range r.GetFileDescriptorResponse().GetFileDescriptorProto() {
		var file descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(b, &file); err != nil {
			t.Fatal(err)
		}
		for _, m := range file.GetMessageType() {
			names[file.GetPackage()+"."+m.GetName()] = true
		}
	}
	if !names["lane.v1.Block"] || !names["delivery.v6.DeliveryEvent"] {
		t.Errorf("described: %v", names)
	}
	if err := call.CloseSend(); err != nil {
		t.Fatal(err)
	}
	stop()
	finished(t, ran)
}

// The service that compares tables is there beside the lanes, says so to probes, and can be found.
func TestTableService(t *testing.T) {
	conn, stop, ran := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const name = "lane.v1.TableService"
	if r, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: name}); err != nil ||
		r.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", r, err)
	}
	call, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	listed, err := call.Recv()
	if err != nil || !strings.Contains(listed.String(), name) {
		t.Errorf("services: %v, %v", listed, err)
	}
	if err := call.CloseSend(); err != nil {
		t.Fatal(err)
	}
	tables := lanev1.NewTableServiceClient(conn)
	wrong := &lanev1.DiffRequest{Routes: []*lanev1.Route{{Table: "t", Row: &lanev1.Route_Message{Message: "no.Such"}}}}
	if _, err := tables.Diff(ctx, wrong); status.Code(err) != codes.InvalidArgument ||
		!strings.Contains(err.Error(), "no.Such") {
		t.Errorf("got %v", err)
	}
	stop()
	finished(t, ran)
}

// A first message that makes no sense ends the call, not the writer.
func TestMessageOutOfPlace(t *testing.T) {
	conn, stop, ran := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	lane, err := lanev1.NewLaneServiceClient(conn).Lane(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := lane.Send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{
		Durable: &lanev1.Durable{},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := lane.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v", err)
	}
	if r, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}); err != nil ||
		r.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", r, err)
	}
	stop()
	finished(t, ran)
}

func TestAddressTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := Defaults()
	c.GRPC.Listen, c.Admin.Listen = taken.Addr().String(), "127.0.0.1:0"
	if err := Run(t.Context(), c, service.Env{}); err == nil || !strings.Contains(err.Error(), "grpc.listen") {
		t.Errorf("got %v", err)
	}
}
