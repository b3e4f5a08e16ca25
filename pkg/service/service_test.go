package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/access"
	"github.com/waybill-data/waybill/pkg/admin"
	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/pkg/logging"
	"github.com/waybill-data/waybill/pkg/version"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is the configuration of a program under test: what its file says.
type shop string

type shopCommands struct {
	Serve   Serve   `cmd:""`
	Check   Check   `cmd:""`
	Health  Health  `cmd:""`
	Version Version `cmd:""`
}

func shopProgram() *Program[shop] {
	return &Program[shop]{
		Name: "shop",
		Load: func(file string) (shop, error) {
			text, err := os.ReadFile(file)
			return shop(text), err
		},
		LoadParts: func(file string, sections ...string) (shop, error) {
			text, err := os.ReadFile(file)
			return shop(strings.Join(sections, " of ") + string(text)), err
		},
		Process: func(*shop) Process { return Process{Admin: Listen{Listen: "127.0.0.1:1"}} },
		Run: func(_ context.Context, c shop, env Env) error {
			env.Log.Info("open", "sells", string(c), "lanes", env.Lanes.Load())
			if families, err := env.Registry.Gather(); err != nil || len(families) == 0 {
				return errors.New("no metrics of the process")
			}
			return nil
		},
		Check: func(_ context.Context, c shop) []findings.Finding {
			if c == "nothing" {
				return []findings.Finding{{What: "shelves", State: findings.Fail, Detail: "empty", Remedy: "buy"}}
			}
			return []findings.Finding{{What: "shelves", Detail: string(c)}}
		},
	}
}

// The commands read the file that the flag, the environment or the program's name says, and hand over what it holds.
func TestCommands(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"shop.yaml": "bread", "other.yaml": "fish", "empty.yaml": "nothing"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		args, environment string
		code              int
		out, err          string
	}{
		"serve by name":        {args: "serve", err: "sells=bread"},
		"serve by flag":        {args: "serve -c other.yaml", environment: "shop.yaml", err: "sells=fish"},
		"serve by environment": {args: "serve", environment: "other.yaml", err: "sells=fish"},
		"serve without a file": {args: "serve -c none.yaml", code: 1, err: "shop: open none.yaml"},
		"help":                 {args: "serve --help", out: "(shop.yaml; or $WAYBILL_SHOP_CONFIG)"},
		"check":                {args: "check", out: "ok    shelves        bread"},
		"check fails":          {args: "check -c empty.yaml", code: 1, out: "-> buy"},
		"check without a file": {args: "check -c none.yaml", code: 1, out: "FAIL  configuration  open none.yaml"},
		"nobody serves":        {args: "health", code: 1, err: "nobody responds"},
		"version":              {args: "version", out: "shop "},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.environment != "" {
				t.Setenv("WAYBILL_SHOP_CONFIG", tt.environment)
			}
			var out, errs strings.Builder
			code := shopProgram().Main(t.Context(), &shopCommands{}, strings.Fields(tt.args),
				cli.Streams{Out: &out, Err: &errs})
			if code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(errs.String(), tt.err) {
				t.Errorf("exit status %d\n%s%s", code, &out, &errs)
			}
		})
	}
}

// For machines, check, health and version print one object, also where something is wrong.
func TestCommandsAsJSON(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"shop.yaml": "bread", "empty.yaml": "nothing"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := shopProgram()
	load := program.Load
	program.Load = func(file string) (shop, error) {
		if file == "odd.yaml" {
			return "", config.Problems{
				{File: file, Line: 3, Key: "bread", Message: "is stale", Remedy: "bake"},
				{Key: "fish", Message: "is missing"},
			}
		}
		return load(file)
	}
	for args, tt := range map[string]struct {
		code int
		want string
	}{
		"check": {0, `{"ok": 2, "warn": 0, "failed": 0, "findings": [
			{"what": "configuration", "state": "ok", "detail": "shop.yaml"},
			{"what": "shelves", "state": "ok", "detail": "bread"}]}`},
		"check -c empty.yaml": {1, `{"ok": 1, "warn": 0, "failed": 1, "findings": [
			{"what": "configuration", "state": "ok", "detail": "empty.yaml"},
			{"what": "shelves", "state": "fail", "detail": "empty", "remedy": "buy"}]}`},
		"check -c odd.yaml": {1, `{"ok": 0, "warn": 0, "failed": 2, "findings": [
			{"what": "configuration", "state": "fail", "detail": "odd.yaml:3: bread: is stale", "remedy": "bake"},
			{"what": "configuration", "state": "fail", "detail": "fish: is missing"}]}`},
		"health": {1, `{"serves": false, "why": "nobody responds: Get \"http://127.0.0.1:1/readyz\": ` +
			`dial tcp 127.0.0.1:1: connect: connection refused"}`},
		"version": {0, fmt.Sprintf(`{"program": "shop", "version": %q, "go": %q}`, version.String(),
			runtime.Version())},
	} {
		var out, errs strings.Builder
		code := program.Main(t.Context(), &shopCommands{}, append(strings.Fields(args), "-o", "json"),
			cli.Streams{Out: &out, Err: &errs})
		var got, want any
		if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(out.String()), &got); err != nil || code != tt.code ||
			!reflect.DeepEqual(got, want) || errs.Len() > 0 {
			t.Errorf("%s: exit status %d, %v\n%s%s", args, code, err, &out, &errs)
		}
	}
}

// health passes on what the process says of itself at its admin address.
func TestHealthAsksTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var env Env
	env.Fill()
	if err := env.Listen(t.Context(), "127.0.0.1:0", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer env.GRPC.Close()
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- admin.Serve(ctx, admin.Config{
			Listener: env.Admin, Registry: env.Registry, Ready: func() error { return errors.New("no bread") },
		})
	}()
	program := shopProgram()
	program.Process = func(*shop) Process { return Process{Admin: Listen{Listen: env.Admin.Addr().String()}} }
	var out, errs strings.Builder
	std := cli.Streams{Out: &out, Err: &errs}
	if code := program.Main(t.Context(), &shopCommands{}, []string{"health", "-c", file}, std); code != 1 ||
		!strings.Contains(errs.String(), "not ready: no bread") {
		t.Errorf("ready: exit status %d, %s", code, &errs)
	}
	if code := program.Main(t.Context(), &shopCommands{}, []string{"health", "--live", "-c", file}, std); code != 0 ||
		out.String() != "serves\n" {
		t.Errorf("live: exit status %d, %s%s", code, &out, &errs)
	}
	out.Reset()
	program.Load = nil // health needs where the process listens, and nothing else
	if code := program.Main(t.Context(), &shopCommands{}, []string{"health", "--live", "-c", file, "-o", "json"},
		std); code != 0 || out.String() != "{\n  \"serves\": true\n}\n" {
		t.Errorf("as JSON: exit status %d, %s%s", code, &out, &errs)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// An address that is taken is reported with its key, and the other one is not left open.
func TestListenOpensAllOrNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	given, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	env := Env{GRPC: given}
	err = env.Listen(t.Context(), "", taken.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "admin.listen") ||
		!strings.Contains(err.Error(), "another address") {
		t.Errorf("got %v", err)
	}
	if _, err := given.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the other listener is still open: %v", err)
	}
}

func TestCheckPorts(t *testing.T) {
	const remedy = "; write host:port, for example 127.0.0.1:7080, or :7080 for all interfaces"
	const open = " without TLS; set cert and key, or listen on 127.0.0.1, or say "
	at := func(address string) Listen { return Listen{Listen: address, Insecure: true} }
	certified := access.Config{Identities: []access.Identity{{Name: "ingest", Rights: []access.Right{access.Lane}}}}
	for name, tt := range map[string]struct {
		grpc, admin Listen
		who         access.Config
		want        string
	}{
		"good":     {grpc: at("127.0.0.1:7080"), admin: at(":7081")},
		"loopback": {grpc: Listen{Listen: "[::1]:7080"}, admin: Listen{Listen: "localhost:7081"}},
		"no port": {grpc: at("127.0.0.1"), admin: at(":7081"), want: `grpc.listen: "127.0.0.1" is not an address` +
			remedy},
		"not a port": {grpc: at(":7080"), admin: at(":many"), want: `admin.listen: "many" is not a port` + remedy},
		"one another": {
			grpc: at(":7080"), admin: at("127.0.0.1:7080"),
			want: "admin.listen: is the port of grpc.listen; give each its own port",
		},
		"open to all": {
			grpc: Listen{Listen: ":7080"}, admin: Listen{Listen: "10.1.1.1:7081"},
			want: "grpc.tls: others than this machine reach :7080" + open +
				"grpc.insecure: true where the network is trusted" +
				"admin.tls: others than this machine reach 10.1.1.1:7081" + open +
				"admin.insecure: true where the network is trusted",
		},
		"both": {
			grpc:  Listen{Listen: "127.0.0.1:7080", Insecure: true, TLS: TLS{Cert: "no.pem", Key: "no.pem"}},
			admin: at(":7081"), want: "grpc.tls: open no.pem: no such file or directory; " +
				"name the PEM files of certificate and key, both or neither" +
				"grpc.insecure: is true while there is TLS; remove one of the two",
		},
		"nobody shows a certificate": {
			grpc: at(":7080"), admin: at(":7081"), who: certified,
			want: "access.identities: nobody shows a certificate: no port has a client_ca; " +
				"set grpc.tls.client_ca or admin.tls.client_ca",
		},
	} {
		var got string
		CheckPorts(func(key, message, remedy string) { got += key + ": " + message + "; " + remedy }, &tt.grpc,
			&tt.admin, &tt.who, 7080)
		if got != tt.want {
			t.Errorf("%s:\n%q, want\n%q", name, got, tt.want)
		}
	}
}

// panicky is a health service that panics or fails.
type panicky struct {
	healthv1.UnimplementedHealthServer
}

func (panicky) Check(_ context.Context, r *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	switch r.GetService() {
	case "panics":
		panic("out of bread")
	case "fails":
		return nil, status.Error(codes.DataLoss, "eaten")
	default:
		return nil, status.Error(codes.NotFound, "no such service")
	}
}

// A call that panics ends with Internal and the process goes on; calls are counted; a line is written for those that
// deserve one.
func TestServerOptions(t *testing.T) {
	var logs strings.Builder // read once the server has stopped
	env := Env{Log: logging.New(&logs, logging.Config{})}
	env.Fill()
	options, counted := ServerOptions(&env, &Ports{}, func(code codes.Code) bool { return code == codes.DataLoss })
	server := grpc.NewServer(options...)
	healthv1.RegisterHealthServer(server, panicky{})
	counted.InitializeMetrics(server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, want := range map[string]codes.Code{
		"panics": codes.Internal, "fails": codes.DataLoss, "nobody": codes.NotFound,
	} {
		_, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: name})
		if status.Code(err) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	server.GracefulStop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	text := logs.String()
	if !strings.Contains(text, "a call panicked") || !strings.Contains(text, "DataLoss") ||
		strings.Contains(text, "NotFound") {
		t.Errorf("logged:\n%s", text)
	}
	families, err := env.Registry.Gather()
	if err != nil || len(families) == 0 {
		t.Errorf("no calls counted: %v", err)
	}
}

// A call that was taken back before anybody looked at it does not get to the service; others do.
func TestCallsThatAreGoneMakeNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	call := func() error {
		return gone(nil, &gonestream{ctx: ctx}, nil, func(any, grpc.ServerStream) error {
			calls++
			return nil
		})
	}
	if err := call(); err != nil || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
	cancel()
	if err := call(); status.Code(err) != codes.Canceled || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// gonestream is a call with nothing but a context.
type gonestream struct {
	grpc.ServerStream
	ctx context.Context
}

func (g *gonestream) Context() context.Context { return g.ctx }
