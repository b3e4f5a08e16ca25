package bench

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/pprof/profile"

	"github.com/waybill-data/waybill/e2e/stack"
)

// profiled is for how long a run's processor time is sampled, in seconds: longer than a full topic takes. Services that
// have nothing to do add nothing.
const profiled = 5

// profile samples the processor time of both services from now on, if there is a file for it. The function it returns
// waits for the samples, and keeps them.
func (b *Bench) profile(ctx context.Context, w *world) (wait func() error) {
	if b.Profile == "" {
		return func() error { return nil }
	}
	type sampled struct {
		profile *profile.Profile
		err     error
	}
	services := []*stack.Service{w.stack.Ingests[0], w.stack.Writers[0]}
	all := make(chan sampled, len(services))
	for _, s := range services {
		go func() {
			body, err := stack.Fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.Admin, profiled))
			if err != nil {
				all <- sampled{err: err}
				return
			}
			p, err := profile.ParseData(body)
			all <- sampled{p, err}
		}()
	}
	return func() error {
		var failed []error
		for range services {
			s := <-all
			failed = append(failed, s.err)
			if s.err == nil {
				b.profiles = append(b.profiles, nameless(s.profile))
			}
		}
		return errors.Join(failed...)
	}
}

// nameless takes out of a profile what tells of the machine and the hour; the compiler needs none of it.
func nameless(p *profile.Profile) *profile.Profile {
	for _, m := range p.Mapping {
		m.File, m.BuildID = "", ""
	}
	p.Comments, p.TimeNanos, p.DurationNanos = nil, 0, 0
	return p
}

// writeProfile writes the profiles of all runs as one.
func (b *Bench) writeProfile() (err error) {
	if b.Profile == "" {
		return nil
	}
	merged, err := profile.Merge(b.profiles)
	if err != nil {
		return err
	}
	file, err := os.Create(b.Profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return merged.Write(file)
}

// download writes what an address responds to a file.
func download(ctx context.Context, url, path string) error {
	body, err := stack.Fetch(ctx, url)
	if err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o644)
}
