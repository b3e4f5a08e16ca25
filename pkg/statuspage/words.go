package statuspage

import (
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/fleetview"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

func parse() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"state": stateName,
		"age":   func(d *durationpb.Duration) string { return fleetview.Age(d.AsDuration()) },
		"ago": func(t *timestamppb.Timestamp) string {
			if t == nil {
				return "–"
			}
			return fleetview.Age(time.Since(t.AsTime()))
		},
		"clock": func(t *timestamppb.Timestamp) string {
			if t == nil {
				return "–"
			}
			return t.AsTime().UTC().Format("15:04:05")
		},
		"moment": func(t *timestamppb.Timestamp) string {
			if t == nil {
				return "–"
			}
			return t.AsTime().UTC().Format(time.RFC3339)
		},
		"count": func(v any) string {
			switch v := v.(type) {
			case int64:
				return fleetview.Count(float64(v))
			case uint64:
				return fleetview.Count(float64(v))
			case int32:
				return fleetview.Count(float64(v))
			case int:
				return fleetview.Count(float64(v))
			case float64:
				return fleetview.Count(v)
			}
			return fmt.Sprint(v)
		},
		"bytes":   byteCount,
		"percent": func(v float64) string { return fmt.Sprintf("%.0f\u00a0%%", 100*v) },
		"bar":     bar,
		"main":    mainCauses,
		"lanes":   lanesByState,
		"missing": missing,
		"query":   url.QueryEscape,
		"plus":    func(a, b int32) int32 { return a + b },
		"reason":  sentence,
		"strip":   strip,
		"marked":  marked,
		"dollars": dollars,
		"advice":  func(cause string) string { return advice[cause] },
		"goesOn":  goesOn,
		"grown": func(n int32) string {
			if n <= 1 {
				return "never"
			}
			return fmt.Sprintf("%d\u00a0×", n-1)
		},
	}).ParseFS(files, "pages/*.html"))
}

func stateName(s adminv1.State) string { return fleetview.StateName(s) }

// sentence begins with a capital and ends with a stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func byteCount(v any) string {
	var n float64
	switch v := v.(type) {
	case int64:
		n = float64(v)
	case float64:
		n = v
	}
	for _, unit := range []struct {
		size float64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.1f\u00a0%s", n/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.0f\u00a0B", n)
}

// part is a cause in a bar, in per cent.
type part struct {
	Cause string
	Width string
	Title string
}

// least is the share of time that is worth a pixel.
const least = 0.005

func bar(shares []*adminv1.Share, window string) []part {
	var out []part
	for _, s := range shares {
		v := s.GetQuarter()
		if window == "minute" {
			v = s.GetMinute()
		}
		if v >= least {
			out = append(out, part{
				s.GetCause(), fmt.Sprintf("%.1f", 100*v),
				fmt.Sprintf("%s %.0f\u00a0%%", s.GetCause(), 100*v),
			})
		}
	}
	return out
}

// mainCauses are the largest shares of the last quarter in words.
func mainCauses(shares []*adminv1.Share) string {
	var out []string
	for _, s := range shares {
		if len(out) < 2 && s.GetQuarter() >= 0.05 {
			out = append(out, fmt.Sprintf("%s %.0f\u00a0%%", s.GetCause(), 100*s.GetQuarter()))
		}
	}
	return strings.Join(out, ", ")
}

func lanesByState(lanes map[string]int32) string {
	var out []string
	for _, state := range slices.Sorted(maps.Keys(lanes)) {
		out = append(out, fmt.Sprintf("%d %s", lanes[state], state))
	}
	return strings.Join(out, ", ")
}

func missing(responses []*adminv1.ProcessResponse) []*adminv1.ProcessResponse {
	var out []*adminv1.ProcessResponse
	for _, a := range responses {
		if a.GetError() != "" {
			out = append(out, a)
		}
	}
	return out
}

// goesOn is the form that goes on with a replay of a topic, filled in; empty for those that run, are done, or replay
// dead letters.
func goesOn(r *adminv1.Replay) string {
	if r.GetDeadLetters() || len(r.GetTopics()) != 1 || r.GetState() == fleetview.Running ||
		r.GetState() == fleetview.Done {
		return ""
	}
	var into []string
	for _, old := range slices.Sorted(maps.Keys(r.GetTables())) {
		into = append(into, old+"="+r.GetTables()[old])
	}
	return "/act?" + url.Values{
		"do": {"replay"}, "name": {r.GetName()}, "topic": r.GetTopics(), "into": {strings.Join(into, ",")},
	}.Encode()
}
