package ingest

import (
	"cmp"
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// The bounds of a preview.
const (
	usualPreviewed, mostPreviewed = 1000, 10_000
	previewedBytes                = 16 << 20
	previewWithin                 = 10 * time.Second
)

// Preview implements adminv1.RecordServiceServer.
func (s *records) Preview(ctx context.Context, r *adminv1.PreviewRequest) (*adminv1.PreviewResponse, error) {
	b := Bounds{Records: cmp.Or(int(r.GetRecords()), usualPreviewed), Bytes: previewedBytes, Time: previewWithin}
	switch {
	case r.GetTopic() == "":
		return nil, status.Error(codes.InvalidArgument, "topic: names none")
	case b.Records < 1 || b.Records > mostPreviewed:
		return nil, status.Errorf(codes.InvalidArgument, "records: %d is not within 1 and %d", b.Records, mostPreviewed)
	}
	if !s.previews.TryLock() {
		return nil, status.Error(codes.ResourceExhausted, "this ingest shows a preview to somebody: try again in a "+
			"moment")
	}
	defer s.previews.Unlock()
	c, err := s.config.onDisk()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*previewWithin)
	defer cancel()
	contracts, err := OpenContracts(ctx, c)
	if err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "contracts: %v", err)
	}
	defer contracts.Close()
	switch found, err := contracts.set.Match(r.GetTopic()); {
	case err != nil:
		return nil, status.Errorf(codes.FailedPrecondition, "topic: %v", err)
	case !found:
		return nil, missing("topic", r.GetTopic(), contracts.set.Topics())
	}
	t, err := contracts.Try(ctx, r.GetTopic(), b, func(int, int) {})
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "topic: %v", err)
	}
	out := previewed(t)
	out.Responses = []*adminv1.ProcessResponse{s.self}
	return out, nil
}

// onDisk is the configuration in use, with the contracts that its file has now. The error is a status.
func (c *Config) onDisk() (Config, error) {
	out := *c
	if c.Path == "" {
		return out, nil
	}
	now, err := Load(c.Path)
	if err != nil {
		return out, status.Errorf(codes.FailedPrecondition, "%s: %v", c.Path, err)
	}
	out.Contracts, out.ContractsDir = now.Contracts, now.ContractsDir
	return out, nil
}

// previewed is a trial in the words of admin.v1.
func previewed(t *Trial) *adminv1.PreviewResponse {
	out := &adminv1.PreviewResponse{
		Records: int64(t.Sampled.Records), Partitions: int32(t.Sampled.Partitions), //nolint:gosec // partitions
		Offsets: t.Sampled.Offsets, Ended: t.Sampled.Ended, Rows: int64(t.Rows), DeadLetters: int64(t.Letters),
		Ignored: int64(t.Ignored), Tombstones: int64(t.Tombstones), Grown: t.Grown,
	}
	for _, k := range t.RowsBy {
		out.RowsBy = append(out.RowsBy, &adminv1.PreviewedRows{
			Table: k.Table, Contract: k.Contract, Type: shortened(k.Type), Rows: int64(k.Rows), Bytes: k.Bytes,
		})
	}
	for _, k := range t.LettersBy {
		out.LettersBy = append(out.LettersBy, &adminv1.PreviewedLetters{
			Reason: k.Reason, Contract: k.Contract, Type: shortened(k.Type), Field: shortened(k.Field),
			Letters: int64(k.Letters), Error: shortened(k.Err), Partition: k.Partition, Offset: k.Offset,
		})
	}
	return out
}

// mostShown bounds foreign text, in bytes.
const mostShown = 300

func shortened(text string) string { return valid([]byte(text[:min(len(text), mostShown)])) }
