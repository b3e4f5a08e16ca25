package steering

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

const (
	// kept is how long what an act returned is kept, and mostKept of how many acts.
	kept, mostKept = time.Hour, 1024
)

// Book keeps what acts have returned, by their ids, and does one act at a time. The zero value is ready; safe for
// concurrent use.
type Book struct {
	mu   sync.Mutex
	acts map[string]*page
	// turn holds a token while no act is under way; nil before the first.
	turn chan struct{}
}

// page is one act.
type page struct {
	at      time.Time
	request proto.Message
	done    chan struct{} // closed once response is there
	// response is nil when the act failed: it may be tried again.
	response proto.Message
}

// Response is what acts return.
type Response interface {
	proto.Message
	GetResult() *adminv1.Result
}

// Once does an act, unless one with its id was done: then it returns what that one returned, as a repeated one. Acts
// are done one at a time, each with what the last one did in sight. An act that fails may be tried again with the same
// id. Acts that are only validated are not kept.
func Once[R Response](
	ctx context.Context,
	b *Book,
	act *adminv1.Act,
	request proto.Message,
	do func() (R, error),
) (R, error) {
	var none R
	for {
		p, first, err := b.page(act, request)
		if err != nil {
			return none, err
		}
		if !first {
			select {
			case <-p.done:
			case <-ctx.Done():
				return none, status.FromContextError(ctx.Err()).Err()
			}
			said, ok := p.response.(R)
			if !ok {
				continue // it failed, and its page is gone
			}
			again := proto.CloneOf(said)
			again.GetResult().Repeated = true
			return again, nil
		}
		r, err := b.inTurn(ctx, func() (proto.Message, error) { return do() })
		if err != nil {
			b.close(act, p, nil)
			return none, err
		}
		said := r.(R)
		b.close(act, p, proto.CloneOf(said))
		return said, nil
	}
}

// page finds the page of an act, or begins it.
func (b *Book) page(act *adminv1.Act, request proto.Message) (p *page, first bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.acts == nil {
		b.acts, b.turn = make(map[string]*page), make(chan struct{}, 1)
		b.turn <- struct{}{}
	}
	if p := b.acts[act.GetRequestId()]; p != nil && !act.GetValidateOnly() && time.Since(p.at) < kept {
		if !proto.Equal(p.request, withoutAct(request)) {
			return nil, false, status.Errorf(
				codes.AlreadyExists,
				"act.request_id: %q was used for another act; use a new one",
				act.GetRequestId(),
			)
		}
		return p, false, nil
	}
	p = &page{at: time.Now(), request: withoutAct(request), done: make(chan struct{})}
	if !act.GetValidateOnly() {
		b.forget()
		b.acts[act.GetRequestId()] = p
	}
	return p, true, nil
}

// withoutAct is what a request asks for, whoever passed it on.
func withoutAct(request proto.Message) proto.Message {
	out := proto.Clone(request)
	if act := out.ProtoReflect().Descriptor().Fields().ByName("act"); act != nil {
		out.ProtoReflect().Clear(act)
	}
	return out
}

// forget makes room. The caller holds mu.
func (b *Book) forget() {
	var oldest string
	for id, p := range b.acts {
		if time.Since(p.at) >= kept {
			delete(b.acts, id)
		} else if oldest == "" || p.at.Before(b.acts[oldest].at) {
			oldest = id
		}
	}
	if len(b.acts) >= mostKept {
		delete(b.acts, oldest)
	}
}

func (b *Book) close(act *adminv1.Act, p *page, response proto.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.response = response
	if response == nil && b.acts[act.GetRequestId()] == p {
		delete(b.acts, act.GetRequestId())
	}
	close(p.done)
}

// inTurn does something while no other act is under way.
func (b *Book) inTurn(ctx context.Context, do func() (proto.Message, error)) (proto.Message, error) {
	select {
	case <-b.turn:
		defer func() { b.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return do()
}
