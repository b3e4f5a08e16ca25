package livecheck

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	exists    = storagepb.StorageError_OFFSET_ALREADY_EXISTS
	beyond    = storagepb.StorageError_OFFSET_OUT_OF_RANGE
	finalized = storagepb.StorageError_STREAM_FINALIZED
	unknown   = storagepb.StorageError_STREAM_NOT_FOUND
)

// few is how many rows most experiments append at once.
const few = 10

// begin makes a write stream, and a connection to it.
func (b *bench) begin(ctx context.Context) (stream string, c *connection, err error) {
	if stream, err = b.stream(ctx); err == nil {
		c, err = b.connect(ctx, stream)
	}
	return stream, c, err
}

// with makes a write stream of `few` rows and a connection to it, runs f, and compares the final count with the one
// assumed.
func (b *bench) with(ctx context.Context, f func(c *connection) (seen string, want int64, err error)) (string, error) {
	stream, c, err := b.begin(ctx)
	if err != nil {
		return "", err
	}
	defer c.cancel()
	if a := c.append(0, rows()); !a.ok() {
		return "", fmt.Errorf("append %d rows at 0: %s", few, a)
	}
	seen, want, err := f(c)
	if err != nil {
		return "", err
	}
	n, err := b.finalize(ctx, stream)
	if err != nil {
		return "", fmt.Errorf("finalize: %w", err)
	}
	if n != want {
		return "", differs("%s; but the stream then holds %d rows, not %d", seen, n, want)
	}
	return fmt.Sprintf("%s; the stream holds %d rows", seen, n), nil
}

// finalizeInFlight appends without pause while the stream is finalized: the fence must count all that was acknowledged,
// and take nothing after it. That the count is exact is seen by readable.
func (b *bench) finalizeInFlight(ctx context.Context) (string, error) {
	stream, c, err := b.begin(ctx)
	if err != nil {
		return "", err
	}
	defer c.cancel()
	const before, atMost = 5, 5000
	sent := make(chan int)
	go func() {
		n := 0
		for n < atMost && c.send(int64(n)*few, rows()) == nil {
			n++
		}
		_ = c.stream.CloseSend() // the responses tell what became of it
		sent <- n
	}()
	counted := make(chan error, 1)
	var count int64
	acked := 0
	var last outcome
	for {
		if last = c.receive(); !last.ok() {
			break
		}
		if acked++; acked == before {
			go func() {
				n, err := b.finalize(ctx, stream)
				count = n
				counted <- err
			}()
		}
		if acked == atMost {
			break
		}
	}
	c.cancel()
	n := <-sent
	if acked < before {
		return "", fmt.Errorf("append %d: %s", acked, last)
	}
	if err := <-counted; err != nil {
		return "", fmt.Errorf("finalize: %w", err)
	}
	b.written += count
	seen := fmt.Sprintf("%d appends sent, %d acknowledged, then %s", n, acked, last)
	switch {
	case acked == atMost:
		return "", fmt.Errorf("nothing was in flight: all %d appends were acknowledged before finalize took "+
			"effect; try again", n)
	case count < int64(acked)*few || count%few != 0:
		return "", differs("%s; finalize counted %d rows, %d are acknowledged", seen, count, acked*few)
	case !last.is(codes.InvalidArgument, finalized):
		return "", differs("%s; finalize counted %d rows", seen, count)
	}
	return fmt.Sprintf("%s; finalize counted %d rows", seen, count), nil
}

func (b *bench) finalizeTwice(ctx context.Context) (string, error) {
	return b.with(ctx, func(c *connection) (string, int64, error) {
		n, err := b.finalize(ctx, c.name)
		return fmt.Sprintf("first %d rows", n), n, err
	})
}

func (b *bench) appendFinalized(ctx context.Context) (string, error) {
	return b.with(ctx, func(c *connection) (string, int64, error) {
		if _, err := b.finalize(ctx, c.name); err != nil {
			return "", 0, err
		}
		other, err := b.connect(ctx, c.name)
		if err != nil {
			return "", 0, err
		}
		defer other.cancel()
		for _, c := range []*connection{c, other} {
			if a := c.append(few, rows()); !a.is(codes.InvalidArgument, finalized) {
				return "", 0, differs("%s", a)
			}
		}
		return "refused with STREAM_FINALIZED on the old and on a new connection", few, nil
	})
}

func (b *bench) repeated(ctx context.Context) (string, error) {
	return b.refusal(ctx, 0, codes.AlreadyExists, exists)
}

func (b *bench) overlap(ctx context.Context) (string, error) {
	return b.refusal(ctx, few/2, codes.AlreadyExists, exists)
}

func (b *bench) gap(ctx context.Context) (string, error) {
	return b.refusal(ctx, 2*few, codes.OutOfRange, beyond)
}

// refusal appends `few` rows at an offset that is not the next.
func (b *bench) refusal(
	ctx context.Context, offset int64, code codes.Code, storage storagepb.StorageError_StorageErrorCode,
) (string, error) {
	return b.with(ctx, func(c *connection) (string, int64, error) {
		a := c.append(offset, rows())
		if !a.is(code, storage) {
			return "", 0, differs("%d rows at %d of %d: %s", few, offset, few, a)
		}
		if code == codes.AlreadyExists && !strings.Contains(strings.ToLower(a.text),
			fmt.Sprintf("expected offset %d", few)) {
			return "", 0, differs("the response does not name the expected offset %d: %s", few, a)
		}
		return a.String(), few, nil
	})
}

// pipeline sends three appends at once, the first of which is refused: the others must not be written in its place.
func (b *bench) pipeline(ctx context.Context) (string, error) {
	return b.with(ctx, func(c *connection) (string, int64, error) {
		bad := rows()
		bad[3] = row(3, "", "no number")
		for i, r := range [][][]byte{bad, rows(), rows()} {
			_ = c.send(int64(i+1)*few, r)
		}
		first := c.receive()
		if first.ok() {
			return "", 0, differs("a bad row was taken")
		}
		for range 2 {
			if a := c.receive(); !a.is(codes.OutOfRange, beyond) {
				return "", 0, differs("behind a refused append: %s", a)
			}
		}
		return "refused as well, OUT_OF_RANGE", few, nil
	})
}

// secondConnection is what a resend after a lost connection is: the old one may still be there.
func (b *bench) secondConnection(ctx context.Context) (string, error) {
	return b.with(ctx, func(c *connection) (string, int64, error) {
		other, err := b.connect(ctx, c.name)
		if err != nil {
			return "", 0, err
		}
		defer other.cancel()
		if a := other.append(few, rows()); !a.ok() {
			return "", 0, differs("the next offset on a second connection: %s", a)
		}
		if a := c.append(few, rows()); !a.is(codes.AlreadyExists, exists) {
			return "", 0, differs("the same offset on the first connection: %s", a)
		}
		return "the next offset is taken on the second, the same one then refused on the first", 2 * few, nil
	})
}

func (b *bench) rowErrors(ctx context.Context) (string, error) {
	return b.with(ctx, func(c *connection) (string, int64, error) {
		bad := rows()
		bad[3] = row(3, "", "no number")
		a := c.append(few, bad)
		switch {
		case a.ok():
			return "", 0, differs("a NUMERIC that is no number was taken")
		case a.ended:
			return "", 0, differs("the connection ended: %s", a)
		case a.listed == 0:
			return "", 0, differs("no row is listed: %s", a)
		}
		if again := c.append(few, rows()); !again.ok() {
			return "", 0, differs("good rows at the same offset: %s", again)
		}
		return fmt.Sprintf("%d of %d rows listed, none written, good rows then taken at the same offset on the same "+
			"connection", a.listed, few), 2 * few, nil
	})
}

var limit = regexp.MustCompile(`(?i)(?:limit|maximum)[^0-9]{0,40}(\d+)`)

// large appends more than application-created streams have been seen to take.
func (b *bench) large(ctx context.Context) (string, error) {
	return b.with(ctx, func(c *connection) (string, int64, error) {
		a := c.append(few, wide(11_000_000))
		switch {
		case a.ok():
			return "", 0, differs("taken: the limit is higher than the 10 MiB assumed")
		case a.away():
			return "", 0, fmt.Errorf("append 11 MB: %s", a)
		}
		seen := a.String()
		if found := limit.FindStringSubmatch(a.text); found != nil {
			seen = "refused, limit " + found[1] + " bytes: " + seen
		}
		return seen, few, nil
	})
}

// usual appends as much as a writer does at most by default.
func (b *bench) usual(ctx context.Context) (string, error) {
	return b.with(ctx, func(c *connection) (string, int64, error) {
		r := wide(9 << 20)
		switch a := c.append(few, r); {
		case a.away():
			return "", 0, fmt.Errorf("append 9 MiB: %s", a)
		case !a.ok():
			return "", 0, differs("%s; lower bigquery.request_bytes", a)
		}
		return "taken", few + int64(len(r)), nil
	})
}

// wide makes rows of the bytes given altogether.
func wide(bytes int) [][]byte {
	const each = 500_000
	text := strings.Repeat("x", each)
	var out [][]byte
	for ; bytes > each; bytes -= each + 64 {
		out = append(out, row(int64(len(out)), text, "1"))
	}
	return append(out, row(int64(len(out)), text[:max(0, bytes)], "1"))
}

// readable counts the rows by a query.
func (b *bench) readable(ctx context.Context) (string, error) {
	it, err := b.rest.Query(fmt.Sprintf("SELECT COUNT(*) FROM `%s.%s.%s`", b.table.ProjectID, b.table.DatasetID,
		b.table.TableID)).Read(ctx)
	if err != nil {
		return "", fmt.Errorf("query: %w", err)
	}
	var found []bigquery.Value
	if err := it.Next(&found); err != nil {
		return "", fmt.Errorf("query: %w", err)
	}
	if n, _ := found[0].(int64); n != b.written {
		return "", differs("a query finds %v rows, %d were acknowledged", found[0], b.written)
	}
	return fmt.Sprintf("a query finds all %d acknowledged rows, and no other", b.written), nil
}

// unknownStream tells that a stream which is gone is known by its error: never an empty one, never a new one.
func (b *bench) unknownStream(ctx context.Context) (string, error) {
	return b.with(ctx, func(c *connection) (string, int64, error) {
		last := c.name[len(c.name)-1:]
		gone := strings.TrimSuffix(c.name, last) + map[bool]string{true: "A", false: "B"}[last != "A"]
		if _, err := b.finalize(ctx, gone); !notFound(err) {
			return "", 0, differs("finalize %s: %v", gone, err)
		}
		other, err := b.connect(ctx, gone)
		if err != nil {
			return "", 0, err
		}
		defer other.cancel()
		if a := other.append(0, rows()); !a.is(codes.NotFound, unknown) {
			return "", 0, differs("append: %s", a)
		}
		return "finalize and append say NOT_FOUND", few, nil
	})
}

const addedColumn = "added"

// addedColumn adds a column and waits until rows may have it.
func (b *bench) addedColumn(ctx context.Context) (string, error) {
	return b.with(ctx, func(c *connection) (string, int64, error) {
		try := func() (outcome, error) {
			other, err := b.connect(ctx, c.name)
			if err != nil {
				return outcome{}, err
			}
			defer other.cancel()
			other.added = true
			return other.append(few, rows()), nil
		}
		a, err := try()
		if err != nil {
			return "", 0, err
		}
		if a.ok() {
			return "", 0, differs("rows of a message with a field more than the table were taken")
		}
		before, err := b.table.Metadata(ctx)
		if err != nil {
			return "", 0, err
		}
		schema := append(slices.Clone(before.Schema), &bigquery.FieldSchema{
			Name: addedColumn, Type: bigquery.StringFieldType,
		})
		if _, err := b.table.Update(ctx, bigquery.TableMetadataToUpdate{Schema: schema}, before.ETag); err != nil {
			return "", 0, fmt.Errorf("add a column: %w", err)
		}
		start, refused := time.Now(), a
		for deadline := start.Add(b.wait); ; {
			if a, err = try(); err != nil {
				return "", 0, err
			}
			took := time.Since(start).Round(100 * time.Millisecond)
			if a.ok() {
				return fmt.Sprintf("before it: %s; taken %v after it was added", refused.storage, took), 2 * few, nil
			}
			if time.Now().After(deadline) {
				return "", 0, differs("not taken %v after it was added: %s", took, a)
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return "", 0, ctx.Err()
			}
		}
	})
}

// deletedTable deletes the table under a write stream. How long BigQuery takes to notice is part of what is seen.
func (b *bench) deletedTable(ctx context.Context) (string, error) {
	stream, err := b.stream(ctx)
	if err != nil {
		return "", err
	}
	if err := b.drop(ctx); err != nil {
		return "", err
	}
	start := time.Now()
	for {
		n, err := b.finalize(ctx, stream)
		took := time.Since(start).Round(100 * time.Millisecond)
		switch {
		case notFound(err):
			return fmt.Sprintf("finalize says NOT_FOUND %v after the deletion", took), nil
		case denied(err):
			return fmt.Sprintf("finalize says PERMISSION_DENIED, \"or it may not exist\", %v after the deletion", took),
				nil
		case err != nil:
			return "", differs("finalize: %s", outcomeOf(status.Convert(err)))
		case took > 30*time.Second:
			return "", differs("finalize still counts %d rows %v after the deletion", n, took)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return "", errors.Join(ctx.Err(), errors.New("the table is deleted, its stream is not"))
		}
	}
}
