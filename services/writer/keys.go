package writer

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// Checkpoint says how checkpoints are sealed, so that nobody but a writer with the keys can make one.
type Checkpoint struct {
	// Keys are paths of files with a key each, of 32 bytes or more; a line end behind it does not count. The first
	// seals, all are tried on what was sealed. They are read again every few seconds. Empty: nothing is sealed.
	Keys []string `yaml:"keys"`
	// AcceptUnsigned takes checkpoints that were committed before there were keys.
	AcceptUnsigned bool `yaml:"accept_unsigned"`
}

// Check implements config.Checker.
func (c *Checkpoint) Check(report func(key, message, remedy string)) {
	if len(c.Keys) == 0 {
		if c.AcceptUnsigned {
			report("accept_unsigned", "is true without keys: all checkpoints are unsigned", "remove it, or set keys")
		}
		return
	}
	if _, err := c.read(); err != nil {
		report("keys", err.Error(), "name files of 32 random bytes or more: head -c 32 /dev/urandom | base64 > FILE")
	}
}

// doubts warns of checkpoints that anybody who may commit offsets can forge, and of an end that is overdue.
func (c *Checkpoint) doubts() []findings.Finding {
	switch {
	case len(c.Keys) == 0:
		return []findings.Finding{{
			What: "checkpoint.keys", State: findings.Warn,
			Detail: "checkpoints are not sealed: who can commit offsets of the group, or open lanes, can forge them",
			Remedy: "name a file with a key, the same for all writers",
		}}
	case c.AcceptUnsigned:
		return []findings.Finding{{
			What: "checkpoint.accept_unsigned", State: findings.Warn,
			Detail: "checkpoints without a MAC are taken, so that forging one needs no key",
			Remedy: "remove it when waybill_writer_checkpoints_foreign_total{what=\"accepted\"} rises no more",
		}}
	}
	return nil
}

func (c *Checkpoint) read() (*checkpoint.Keys, error) {
	keys := make([][]byte, 0, len(c.Keys))
	for _, path := range c.Keys {
		key, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		key = bytes.TrimRight(key, "\r\n")
		if len(key) < checkpoint.MinKeyBytes {
			return nil, fmt.Errorf("%s holds %d bytes, a key has at least %d", path, len(key), checkpoint.MinKeyBytes)
		}
		keys = append(keys, key)
	}
	return checkpoint.NewKeys(keys)
}

// ring is the keys as the files have them, nil without any. The error names the file, and shows nothing of it.
func (c *Checkpoint) ring(log *slog.Logger) (*checkpoint.Ring, error) {
	if len(c.Keys) == 0 {
		return nil, nil
	}
	keys, err := c.read()
	if err != nil {
		return nil, err
	}
	r := &checkpoint.Ring{AcceptUnsigned: c.AcceptUnsigned}
	r.Set(keys)
	r.Reread = func() { c.reread(r, log) }
	return r, nil
}

func (c *Checkpoint) reread(r *checkpoint.Ring, log *slog.Logger) {
	keys, err := c.read()
	if err != nil {
		log.Warn("checkpoint keys cannot be read; those read last are used", "error", err)
		return
	}
	r.Set(keys)
}

// keysEvery is how often files of keys are read again.
const keysEvery = 5 * time.Second

// follow reads the keys again until ctx ends.
func follow(ctx context.Context, r *checkpoint.Ring) {
	if r == nil {
		return
	}
	tick := time.NewTicker(keysEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.Reread()
		}
	}
}
