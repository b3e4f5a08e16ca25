package logging

import (
	"sync"
	"time"
)

// seldom is how often Seldom says the same.
const seldom = 10 * time.Second

// Seldom bounds the lines about what anybody at a port can bring about: who scans ports, or tries again without end,
// makes thousands. The zero value is ready; it is safe for concurrent use.
type Seldom struct {
	mu   sync.Mutex
	said time.Time
	more int
}

// Say calls write unless it was called within ten seconds; others is how often it was not since then.
func (s *Seldom) Say(write func(others int)) {
	s.mu.Lock()
	others, quiet := s.more, time.Since(s.said) < seldom
	if quiet {
		s.more++
	} else {
		s.said, s.more = time.Now(), 0
	}
	s.mu.Unlock()
	if !quiet {
		write(others)
	}
}
