package sink

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// A writer touches no table and no stream outside of bigquery.allow, and asks BigQuery for none.
func TestNothingOutsideOfAllowIsTouched(t *testing.T) {
	c := Config{Project: "p", Dataset: "d", Allow: []string{"p.d", "q"}}
	for name, want := range map[string]bool{
		"t": true, "d.t": true, "p.d.t": true, "x.t": false, "q.x.t": true, "r.d.t": false, "qq.d.t": false,
		"example.com:q.d.t": false,
	} {
		if _, err := c.locate(name); (err == nil) != want || err != nil &&
			!strings.Contains(err.Error(), "bigquery.allow") {
			t.Errorf("%s: %v", name, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		fake, s, _ := bubble(t, nil)
		s.config.Allow = []string{"another"}
		fake.away = func() error { t.Error("BigQuery was asked"); return errors.New("no") }
		route := &lanev1.Route{Table: "elsewhere.orders", Row: stockRoute.GetRow()}
		if _, err := s.Table(t.Context(), route); !errors.Is(err, lane.ErrRoute) {
			t.Errorf("table: %v", err)
		}
		for _, stream := range []string{"projects/p/datasets/d/tables/t/streams/s", "nonsense"} {
			if _, err := s.Finalize(t.Context(), stream); !errors.Is(err, lane.ErrRoute) {
				t.Errorf("finalize %s: %v", stream, err)
			}
		}
		// What is allowed is asked for.
		fake.away, s.config.Allow = nil, []string{"p.d"}
		const stream = "projects/p/datasets/d/tables/t/streams/s"
		if _, err := s.Finalize(t.Context(), stream); !errors.Is(err, lane.ErrStreamGone) {
			t.Errorf("finalize an allowed stream that is not there: %v", err)
		}
	})
}

func TestAllowIsChecked(t *testing.T) {
	for allow, want := range map[string]string{
		"p-project.d": "", "p-project": "", "other": "add it", "p.d/x": "write PROJECT",
	} {
		c := Defaults()
		c.Project, c.Dataset, c.Allow = "p-project", "d", []string{allow}
		var got string
		c.Check(func(key, message, remedy string) { got += key + ": " + message + "; " + remedy })
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %s", allow, got)
		}
	}
}
