package livecheck

import (
	"encoding/json"
	"fmt"
	"io"

	"cloud.google.com/go/bigquery"
)

// sayer writes what came of the experiments: a table for people, or an object a line for machines.
type sayer struct {
	w     io.Writer
	json  bool
	width int
}

func (s *sayer) begin(table *bigquery.Table) {
	if s.json {
		return
	}
	for _, e := range experiments {
		s.width = max(s.width, len(e.name))
	}
	fmt.Fprintf(s.w, "table %s.%s.%s, deleted at the end\n\n", table.ProjectID, table.DatasetID, table.TableID)
	s.result("check", "verdict", "what was seen")
}

// result writes how an experiment turned out.
func (s *sayer) result(check, verdict, seen string) {
	if !s.json {
		fmt.Fprintf(s.w, "%-*s  %-8s  %s\n", s.width, check, verdict, seen)
		return
	}
	encoder := json.NewEncoder(s.w)
	encoder.SetEscapeHTML(false)
	encoder.Encode(struct { //nolint:errcheck // A reader who went away has the exit code.
		Check   string `json:"check"`
		Verdict string `json:"verdict"`
		Seen    string `json:"seen"`
	}{check, verdict, seen})
}

func (s *sayer) end(failed int) {
	if !s.json {
		fmt.Fprintf(s.w, "\n%d ok, %d not\n", len(experiments)-failed, failed)
	}
}
