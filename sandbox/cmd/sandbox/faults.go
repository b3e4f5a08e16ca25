package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-data/waybill/sandbox/internal/table"
)

type faultsCommand struct {
	List  faultsList  `cmd:"" default:"withargs" help:"List the faults in force."`
	Add   faultsAdd   `cmd:"" help:"Add a fault."`
	Clear faultsClear `cmd:"" help:"Remove faults."`
}

// targets are what can misbehave; each takes faults under /TARGET/faults on the admin port.
var targets = []string{"bigquery", "kafka", "registry"}

type faultsList struct {
	connection
	JSON bool `name:"json" help:"Print JSON, one fault a line."`
}

// Run lists.
func (c faultsList) Run(ctx context.Context, s streams) error {
	endpoints, err := c.endpoints(ctx)
	if err != nil {
		return err
	}
	t := table.Table{Header: []string{"on", "id", "fault", "hits"}, Right: []bool{false, false, false, true}}
	for _, target := range targets {
		var faults []map[string]any
		if err := call(ctx, http.MethodGet, endpoints.Admin, target, nil, nil, &faults); err != nil {
			return err
		}
		for _, fault := range faults {
			if c.JSON {
				fault["on"] = target
				if err := json.NewEncoder(s.out).Encode(fault); err != nil {
					return err
				}
				continue
			}
			t.Rows = append(t.Rows, []string{target, text(fault["id"]), describe(fault), text(fault["hits"])})
		}
	}
	if c.JSON {
		return nil
	}
	if len(t.Rows) == 0 {
		_, err := fmt.Fprintln(s.out, "no faults")
		return err
	}
	return t.Print(s.out)
}

type faultsAdd struct {
	connection
	On     string   `arg:"" enum:"bigquery,kafka,registry" help:"What misbehaves: bigquery, kafka or registry."`
	Fields []string `arg:"" name:"field=value" help:"What the fault is, see below."`
}

// Help is shown below the flags.
func (faultsAdd) Help() string {
	return `Of bigquery, a kind, and what narrows it down:
  kind=latency|lost_reply|aborted|quota|row_errors|reset|unavailable|
       finalize_delay|clock_jump|schema_delay|missing_denied
  method=append|create|get|finalize|flush|commit|rest  table=DATASET.TABLE  stream=END-OF-NAME
  probability=0..1  count=N  for=DURATION
  delay=DURATION  jitter=DURATION              latency, finalize_delay, clock_jump, schema_delay
  every=N  offsets=N,N,…  listed=N             row_errors
  in_stream=true                               aborted, quota, unavailable

Of kafka, a request and its error, or an action:
  key=REQUEST  error=NAME  count=N (-1: until cleared)  topic=NAME  partitions=N,N,…  group=NAME
  action=move_leaders|rehash_coordinators

Of registry, a status, a delay or both:
  status=400..599  delay=DURATION  count=N

Examples:
  sandbox faults add bigquery kind=latency delay=200ms jitter=50ms
  sandbox faults add bigquery kind=lost_reply probability=0.01 for=1m
  sandbox faults add bigquery kind=row_errors every=1000 table=waybill.delivery_events
  sandbox faults add kafka key=OffsetCommit error=NOT_COORDINATOR count=3
  sandbox faults add kafka action=move_leaders
  sandbox faults add registry status=503 count=10`
}

// Run adds.
func (c faultsAdd) Run(ctx context.Context, s streams) error {
	endpoints, err := c.endpoints(ctx)
	if err != nil {
		return err
	}
	fault := map[string]any{}
	for _, field := range c.Fields {
		name, value, ok := strings.Cut(field, "=")
		if !ok || name == "" {
			return fmt.Errorf("%q is not of the form field=value, as in kind=latency", field)
		}
		if fault[name], err = parseField(name, value); err != nil {
			return err
		}
	}
	var added map[string]any
	if err := call(ctx, http.MethodPost, endpoints.Admin, c.On, nil, fault, &added); err != nil {
		return err
	}
	if id := text(added["id"]); id != "" {
		_, err = fmt.Fprintf(s.out, "added %s %s: %s\n", c.On, id, describe(added))
	} else {
		_, err = fmt.Fprintf(s.out, "done: %s\n", describe(added))
	}
	return err
}

// parseField gives a value the type that the JSON of a fault has for it.
func parseField(name, value string) (any, error) {
	wrong := func(want string) error { return fmt.Errorf("%s=%s: want %s", name, value, want) }
	switch name {
	case "count", "every", "listed", "status":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, wrong("a whole number")
		}
		return n, nil
	case "probability":
		p, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, wrong("a number from 0 to 1")
		}
		return p, nil
	case "in_stream":
		b, err := strconv.ParseBool(value)
		if err != nil {
			return nil, wrong("true or false")
		}
		return b, nil
	case "offsets", "partitions":
		var numbers []int64
		for one := range strings.SplitSeq(value, ",") {
			n, err := strconv.ParseInt(one, 10, 64)
			if err != nil {
				return nil, wrong("whole numbers with commas between them")
			}
			numbers = append(numbers, n)
		}
		return numbers, nil
	}
	return value, nil
}

type faultsClear struct {
	connection
	On string `arg:"" optional:"" enum:"bigquery,kafka,registry,all" default:"all" help:"Where: bigquery, kafka, registry or all (${default})."`
	ID string `name:"id" help:"Only the fault with this id; needs bigquery, kafka or registry."`
}

// Run removes.
func (c faultsClear) Run(ctx context.Context, s streams) error {
	endpoints, err := c.endpoints(ctx)
	if err != nil {
		return err
	}
	query := url.Values{}
	if c.ID != "" {
		if c.On == "all" {
			return fmt.Errorf("--id needs the target: sandbox faults clear bigquery --id %s", c.ID)
		}
		query.Set("id", c.ID)
	}
	for _, target := range targets {
		if c.On != "all" && c.On != target {
			continue
		}
		var removed struct{ Removed int }
		if err := call(ctx, http.MethodDelete, endpoints.Admin, target, query, nil, &removed); err != nil {
			return err
		}
		if c.ID != "" && removed.Removed == 0 {
			return fmt.Errorf("%s has no fault with the id %s: \"sandbox faults\" lists them", target, c.ID)
		}
		if _, err := fmt.Fprintf(s.out, "cleared %s\n", strings.TrimSpace(target+" "+c.ID)); err != nil {
			return err
		}
	}
	return nil
}

// call talks to the admin port about a target's faults.
func call(ctx context.Context, method, admin, target string, query url.Values, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	payload := []byte(nil)
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return fmt.Errorf("fault: %w", err)
		}
	}
	address := admin + "/" + target + "/faults"
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(payload))
	if err != nil {
		return fmt.Errorf("sandbox's admin port: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("sandbox's admin port: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("sandbox's admin port: %w", err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		var refused struct{ Error string }
		if json.Unmarshal(text, &refused) == nil && refused.Error != "" {
			return fmt.Errorf("%s faults: %s", target, refused.Error)
		}
		return fmt.Errorf("%s faults: %s: %s", target, response.Status, bytes.TrimSpace(text))
	}
	if into == nil || len(text) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("sandbox's admin port: %w", err)
	}
	return nil
}

// describe writes a fault as the fields it was made of.
func describe(fault map[string]any) string {
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(fault)) {
		if value := text(fault[name]); name != "id" && name != "hits" && value != "" && value != "0s" {
			fields = append(fields, name+"="+value)
		}
	}
	return strings.Join(fields, " ")
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		var parts []string
		for _, one := range v {
			parts = append(parts, text(one))
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v)
}
