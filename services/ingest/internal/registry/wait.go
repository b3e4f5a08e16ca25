package registry

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// wait requests until there is a response; that there is no such thing is one once it was the response for as long as
// believe.
// Each try goes to the next node: one that fails must not hold up the others.
func wait[T any](
	ctx context.Context, c *Client, what string, believe time.Duration,
	request func(context.Context, *sr.Client) (T, error),
) (T, error) {
	var (
		none    T
		missing time.Time
		waiting bool
		pause   = c.patience.retryMin
	)
	defer func() {
		if waiting {
			c.metrics.waiting.Dec()
		}
	}()
	for try := 0; ; try++ {
		found, err := request(ctx, c.nodes[try%len(c.nodes)])
		next := pause/2 + rand.N(pause/2+1)
		switch {
		case err == nil:
			c.metrics.requests.WithLabelValues(resultOK).Inc()
			c.outage.ended(c)
			return found, nil
		case ctx.Err() != nil:
			return none, ctx.Err()
		case isMissing(err):
			c.metrics.requests.WithLabelValues(resultMissing).Inc()
			c.outage.ended(c)
			now := time.Now()
			if missing.IsZero() {
				missing = now
			}
			if now.Sub(missing) >= believe {
				return none, &MissingError{What: what, Until: now.Add(c.patience.disbelieve)}
			}
			next = c.patience.again
		default:
			c.metrics.requests.WithLabelValues(resultFailed).Inc()
			if try+1 < len(c.nodes) {
				continue // another node may respond
			}
			c.outage.began(c, err)
			if !waiting {
				waiting = true
				c.metrics.waiting.Inc()
			}
			pause = min(2*pause, c.patience.retryMax)
		}
		timer := time.NewTimer(next)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return none, ctx.Err()
		}
	}
}

// isMissing reports whether the registry has responded that there is no such thing. A 404 without one of the registry's
// own codes says nothing about schemas: a proxy or a wrong path responds so, and to believe it would make dead letters
// of good records.
func isMissing(err error) bool {
	response, ok := errors.AsType[*sr.ResponseError](err)
	if !ok || response.StatusCode != http.StatusNotFound {
		return false
	}
	switch response.ErrorCode {
	case sr.ErrSubjectNotFound.Code, sr.ErrVersionNotFound.Code, sr.ErrSchemaNotFound.Code:
		return true
	}
	return false
}

// outage is a time without responses: one line when it begins, one when it ends.
type outage struct {
	mu    sync.Mutex
	since time.Time
}

func (o *outage) began(c *Client, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = time.Now()
		c.metrics.up.Set(0)
		c.log.Warn("the schema registry does not respond; what needs it waits", "error", err)
	}
}

func (o *outage) ended(c *Client) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		c.metrics.up.Set(1)
		c.log.Info("the schema registry responds again",
			slog.Duration("after", time.Since(o.since).Round(time.Millisecond)))
		o.since = time.Time{}
	}
}

// kept is what is known of an id, expired or not.
func (c *Client) kept(id int) (known, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.byID[id]
	return k, ok
}

// keep bounds what it keeps: what had to go is requested again.
func (c *Client) keep(id int, k known) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += k.schema.bytes() - c.byID[id].schema.bytes()
	if len(c.byID) >= maxCached || c.bytes > maxCachedBytes {
		clear(c.byID)
		c.bytes = k.schema.bytes()
	}
	c.byID[id] = k
	c.metrics.cached.Set(float64(len(c.byID)))
}

// flights are the calls under way, by what they ask for.
type flights struct {
	mu    sync.Mutex
	calls map[string]*flight
}

type flight struct {
	done   chan struct{}
	schema *Schema
	err    error
}

// share makes the call, or waits for the one under way. When that one is given up by its own caller, another takes
// over.
func (f *flights) share(ctx context.Context, key string, call func(context.Context) (*Schema, error)) (*Schema, error) {
	for {
		f.mu.Lock()
		other := f.calls[key]
		if other == nil {
			if f.calls == nil {
				f.calls = map[string]*flight{}
			}
			own := &flight{done: make(chan struct{})}
			f.calls[key] = own
			f.mu.Unlock()
			own.schema, own.err = call(ctx)
			f.mu.Lock()
			delete(f.calls, key)
			f.mu.Unlock()
			close(own.done)
			return own.schema, own.err
		}
		f.mu.Unlock()
		select {
		case <-other.done:
			if !errors.Is(other.err, context.Canceled) && !errors.Is(other.err, context.DeadlineExceeded) {
				return other.schema, other.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
