package registry

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/waybill-data/waybill/sandbox/internal/admin"
)

// Fault makes the registry return a status of HTTP instead of a schema, or late.
type Fault struct {
	ID int `json:"id,omitempty"`
	// Status is what is returned, from 400 on; 0 is the usual response, after Delay.
	Status int `json:"status,omitempty"`
	// Delay comes before the response, as in 250ms.
	Delay string `json:"delay,omitempty"`
	// Count is the number of requests it is for, 0 for all until it is removed.
	Count int `json:"count,omitempty"`
	// Hits is the number of requests it was for so far; set in responses only.
	Hits int `json:"hits"`

	delay time.Duration
}

// faults are those in force.
type faults struct {
	mu   sync.Mutex
	next int
	all  []*Fault
}

// add installs a fault.
func (f *faults) add(fault Fault) (Fault, error) {
	if fault.Delay != "" {
		var err error
		if fault.delay, err = time.ParseDuration(fault.Delay); err != nil || fault.delay < 0 {
			return fault, fmt.Errorf("delay %q is no time: write for example 250ms", fault.Delay)
		}
	}
	switch {
	case fault.Status != 0 && (fault.Status < 400 || fault.Status > 599):
		return fault, fmt.Errorf("status %d is no error: use 400 to 599", fault.Status)
	case fault.Status == 0 && fault.delay == 0:
		return fault, fmt.Errorf("nothing would happen: give a status, a delay or both")
	case fault.Count < 0:
		return fault, fmt.Errorf("count %d is negative", fault.Count)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	fault.ID, fault.Hits = f.next, 0
	f.all = append(f.all, &fault)
	return fault, nil
}

// hit is what the next request is met with.
func (f *faults) hit() (status int, delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.all {
		if fault.Count > 0 && fault.Hits >= fault.Count {
			continue
		}
		fault.Hits++
		delay += fault.delay
		status = max(status, fault.Status)
	}
	return status, delay
}

// wrap puts the faults before a handler.
func (f *faults) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, delay := f.hit()
		if delay > 0 {
			timer := time.NewTimer(delay)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
				return
			}
		}
		if status != 0 {
			admin.Respond(w, status, map[string]any{"error_code": status*100 + 1, "message": "a fault of the sandbox"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Handler serves the faults: see [admin.Faults].
func (r *Registry) Handler() http.Handler {
	return admin.Faults[Fault]{List: r.faults.list, Add: r.faults.add, Remove: r.faults.remove}
}

func (f *faults) list() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Fault, 0, len(f.all))
	for _, fault := range f.all {
		out = append(out, *fault)
	}
	return out
}

func (f *faults) remove(text string) (int, error) {
	id, err := admin.Number(text)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.all)
	f.all = slices.DeleteFunc(f.all, func(fault *Fault) bool { return id == 0 || fault.ID == id })
	return before - len(f.all), nil
}
