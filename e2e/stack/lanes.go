package stack

import (
	"context"
	"encoding/json"
	"fmt"
)

// Lane is what an ingest says of one of its lanes on /lanes.
type Lane struct {
	Topic         string `json:"topic"`
	Partition     int32  `json:"partition"`
	State         string `json:"state"`
	Writer        string `json:"writer"`
	Position      int64  `json:"position"`
	Lag           int64  `json:"lag"`
	WindowBatches int    `json:"window_batches"`
	Rows          uint64 `json:"rows"`
	Bytes         uint64 `json:"bytes"`
	Dropped       uint64 `json:"dropped"`
	DeadLetters   uint64 `json:"dead_letters"`
	LastError     string `json:"last_error"`
	WaitingFor    string `json:"waiting_for"`
}

// Lanes reads the lanes of an ingest.
func (s *Service) Lanes(ctx context.Context) ([]Lane, error) {
	body, err := get(ctx, "http://"+s.Admin+"/lanes")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var lanes []Lane
	if err := json.NewDecoder(body).Decode(&lanes); err != nil {
		return nil, fmt.Errorf("lanes of %s: %w", s.Name, err)
	}
	return lanes, nil
}
