package source

import (
	"context"
	"log/slog"
)

// CountPartitions counts the partitions of the topics that can be read: as many lanes has a member that is alone in its
// group.
func CountPartitions(ctx context.Context, config Config, topics Topics) (int, error) {
	names, err := ListTopics(ctx, config, topics)
	if err != nil {
		return 0, err
	}
	s := New(config, slog.New(slog.DiscardHandler), nil)
	if err := s.open(); err != nil {
		return 0, err
	}
	defer s.close()
	return Await(ctx, &s.calls, func() (int, error) {
		n := 0
		for _, name := range names {
			partitions, _ := s.control.Partitions(name) // one that is missing or refused has no lanes
			n += len(partitions)
		}
		return n, nil
	})
}
