package overview

import (
	"fmt"
	"strings"
	"time"

	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/services/ingest/internal/causes"
	"github.com/waybill-data/waybill/services/ingest/internal/freshness"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// words are the causes as part of a sentence.
var words = [causes.Count]string{
	causes.Idle:     "records that have just come",
	causes.Fetch:    "Kafka gives no records",
	causes.Registry: "the schema registry",
	causes.Decode:   "the processor, which decodes as fast as it can",
	causes.Budget:   "the memory budget",
	causes.Barrier:  "an offset commit",
	causes.Opening:  "no writer yet",
	causes.Append:   "BigQuery's responses",
	causes.Quota:    "BigQuery's quota, or an outage",
	causes.Schema:   "BigQuery does not know a column yet",
	causes.Letters:  "the dead-letter topic",
	causes.Refused:  "refused",
	causes.Paused:   "paused",
	causes.Fenced:   "another member owns the partition",
}

// mostSaid bounds what a lane says of its trouble in a sentence, in bytes; its own page has all of it.
const mostSaid = 240

// reason is what is said of a table, after its name.
func reason(j *judged) string {
	if s := refused(j.lanes); s != nil {
		more := ""
		if n := count(j.lanes, lane.Refused); n > 1 {
			more = fmt.Sprintf(", as are %d others", n-1)
		}
		return fmt.Sprintf("waits for an operator: %s/%d is refused%s, since %s: %s",
			s.status.Topic, s.status.Partition, more, clock(s.status.Since), short(s.status.LastError))
	}
	if j.verdict.State == freshness.Paused {
		return paused(j)
	}
	w := j.worst()
	if j.verdict.State == freshness.Unknown {
		return unknown(j)
	}
	if w == nil || j.verdict.State == freshness.Fresh && j.verdict.Age < time.Second {
		if j.verdict.State == freshness.Recovered {
			return "is fresh again"
		}
		return "is fresh"
	}
	text := fmt.Sprintf("is %s behind: %s, since %s", fleetview.Age(j.verdict.Age), words[w.cause], clock(w.since))
	if w.status.WaitingFor != "" {
		text += " (" + short(w.status.WaitingFor) + ")"
	} else if w.status.State != lane.Open && w.status.LastError != "" {
		text += " (" + short(w.status.LastError) + ")"
	}
	return text
}

// unknown says why nothing is known of a table.
func unknown(j *judged) string {
	n := 0
	var first *seen
	for _, s := range j.lanes {
		if s.status.Position < 0 || s.status.Lag < 0 {
			if n++; first == nil {
				first = s
			}
		}
	}
	text := fmt.Sprintf("is not known yet: %d of %d lanes have not said where they are", n, len(j.lanes))
	if first != nil {
		text += fmt.Sprintf("; %s/%d is %s, since %s", first.status.Topic, first.status.Partition, first.status.State,
			clock(first.status.Since))
		if said := first.status.WaitingFor + first.status.LastError; said != "" {
			text += " (" + short(said) + ")"
		}
	}
	return text
}

// paused says why lanes of a table are paused. How many are, the lanes by state say, those of other ingests too.
func paused(j *judged) string {
	for _, s := range j.lanes {
		if s.status.State == lane.Paused {
			return "has lanes that are " + short(s.status.Paused)
		}
	}
	return "has lanes that were paused a moment ago"
}

func count(lanes []*seen, state lane.State) (n int) {
	for _, s := range lanes {
		if s.status.State == state {
			n++
		}
	}
	return n
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= mostSaid {
		return s
	}
	return strings.ToValidUTF8(s[:mostSaid], "") + "…"
}
