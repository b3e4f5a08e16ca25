package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

var client = &http.Client{Timeout: 30 * time.Second} // for what hangs: a busy machine is slow

// get fetches a page of a process's admin port.
func get(ctx context.Context, url string) (io.ReadCloser, error) {
	resp, err := request(ctx, url, "")
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// request fetches a page in a format. The caller closes its body.
func request(ctx context.Context, url string, format expfmt.Format) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if format != "" {
		req.Header.Set("Accept", string(format))
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		resp.Body.Close()
		return nil, fmt.Errorf("GET %s: %s: %s", url, resp.Status, body)
	}
	return resp, nil
}

// Metrics is one reading of a /metrics page.
type Metrics map[string]*dto.MetricFamily

// ReadMetrics reads the /metrics page of an admin address, as protobuf: text has no native histograms.
func ReadMetrics(ctx context.Context, admin string) (Metrics, error) {
	resp, err := request(ctx, "http://"+admin+"/metrics", expfmt.NewFormat(expfmt.TypeProtoDelim))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	m := Metrics{}
	page := expfmt.NewDecoder(resp.Body, expfmt.ResponseFormat(resp.Header))
	for {
		var f dto.MetricFamily
		switch err := page.Decode(&f); {
		case errors.Is(err, io.EOF):
			return m, nil
		case err != nil:
			return nil, fmt.Errorf("metrics of %s: %w", admin, err)
		}
		m[f.GetName()] = &f
	}
}

// Sum adds up all series of a counter or gauge whose labels include those given as name, value pairs.
func (m Metrics) Sum(name string, labels ...string) float64 {
	var sum float64
	f := m[name]
	if f == nil {
		return 0
	}
series:
	for _, s := range f.GetMetric() {
		for i := 0; i+1 < len(labels); i += 2 {
			if !hasLabel(s, labels[i], labels[i+1]) {
				continue series
			}
		}
		sum += s.GetCounter().GetValue() + s.GetGauge().GetValue() + s.GetUntyped().GetValue()
	}
	return sum
}

func hasLabel(s *dto.Metric, name, value string) bool {
	for _, l := range s.GetLabel() {
		if l.GetName() == name {
			return l.GetValue() == value
		}
	}
	return false
}

// CPUSeconds is the processor time the process has used since it started, user and system.
func (m Metrics) CPUSeconds() float64 { return m.Sum("process_cpu_seconds_total") }

// ResidentBytes is the process's resident memory.
func (m Metrics) ResidentBytes() float64 { return m.Sum("process_resident_memory_bytes") }
