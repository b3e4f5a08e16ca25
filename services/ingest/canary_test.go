package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/pkg/logging"
	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/pkg/service"
)

// plant puts a canary into every secret of a configuration, also of those that come to be, and returns them by key.
func plant(v reflect.Value, key string, canaries map[string]string) {
	if v.Type() == reflect.TypeFor[config.Secret]() {
		canaries[key] = "canary-" + strings.ReplaceAll(key, ".", "-")
		v.Set(reflect.ValueOf(config.NewSecret(canaries[key])))
		return
	}
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			plant(v.Field(i), strings.Trim(key+"."+f.Name, "."), canaries)
		}
	}
}

// No secret of the configuration comes out: not in what check says, not in a log at debug, not in an error, not on a
// page, not in the configuration as it is printed.
func TestNothingSecretComesOut(t *testing.T) {
	c := Defaults()
	canaries := map[string]string{}
	plant(reflect.ValueOf(&c).Elem(), "", canaries)
	if len(canaries) < 4 {
		t.Fatalf("found only %v", canaries)
	}
	c.Kafka.Brokers, c.Kafka.Group = []string{"127.0.0.1:1"}, "g"
	c.Kafka.SASL.Mechanism, c.Kafka.SASL.User = "plain", "user"
	c.Registry.URLs, c.Registry.User = []string{"http://127.0.0.1:1"}, "user"
	c.Writer.Endpoints = []string{"127.0.0.1:1"}
	c.GRPC.Listen, c.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		fmt.Fprintf(&out, verb, c)
	}
	for _, marshal := range []func(any) ([]byte, error){yaml.Marshal, json.Marshal} {
		text, err := marshal(c)
		out.Write(text)
		fmt.Fprint(&out, err)
	}
	c.Check(func(key, message, remedy string) { fmt.Fprintln(&out, key, message, remedy) })
	c.Writer.Check(func(key, message, remedy string) { fmt.Fprintln(&out, key, message, remedy) })
	findings.Print(&out, Check(t.Context(), c))

	// A token for the writers goes nowhere without TLS, and there is a line about it.
	conn, err := c.Writer.dial()
	fmt.Fprint(&out, err)
	if err == nil {
		conn.Close()
	}
	c.Writer.Token = config.Secret{}

	var log logtest.Log
	env := service.Env{Log: logging.New(&log, logging.Config{Level: "debug"})}
	env.Fill()
	if err := env.Listen(t.Context(), c.GRPC.Listen, c.Admin.Listen); err != nil {
		t.Fatal(err)
	}
	at := "http://" + env.Admin.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- Run(ctx, c, env) }()
	for _, page := range []string{"/", "/metrics", "/readyz", "/lanes", "/plan", "/debug/pprof/cmdline"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, at+page, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(&out, response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}
	}
	// Until it has tried to log in at least once.
	for end := time.Now().Add(time.Minute); !strings.Contains(log.String(), "127.0.0.1:1") && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	fmt.Fprint(&out, <-ran)
	out.WriteString(log.String())
	if !strings.Contains(out.String(), "127.0.0.1:1") || !strings.Contains(out.String(), "***") {
		t.Errorf("too little came out to judge:\n%s", out.String())
	}
	for key, canary := range canaries {
		if strings.Contains(out.String(), canary) {
			t.Errorf("%s came out:\n%s", key, out.String())
		}
	}
}
