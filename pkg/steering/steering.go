// Package steering is what the acts of admin.v1 have in common, whichever service does them: who acts, that an act of
// one id is done once, and what is nearest to a name that does not exist.
//
//	var book steering.Book
//	act, err := steering.Check(request.GetAct())
//	response, err := steering.Once(ctx, &book, act, request, func() (*adminv1.PauseResponse, error) { ... })
package steering

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/access"
	"github.com/waybill-data/waybill/pkg/config"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// EventPrefix begins the kind of every event of an act.
const EventPrefix = "operator: "

// The bounds of what an act says of itself, in bytes.
const (
	mostReason, mostID, mostActor = 500, 64, 200
)

// Check returns the act with an id, and refuses one that says what is not sensible. Nil is an act that says nothing.
func Check(a *adminv1.Act) (*adminv1.Act, error) {
	out := &adminv1.Act{
		ValidateOnly: a.GetValidateOnly(), Reason: a.GetReason(), RequestId: a.GetRequestId(),
		OnBehalfOf: a.GetOnBehalfOf(), Local: a.GetLocal(), PassedBy: a.GetPassedBy(),
	}
	for _, f := range []struct {
		name, text string
		most       int
	}{
		{"reason", out.GetReason(), mostReason},
		{"request_id", out.GetRequestId(), mostID},
		{"on_behalf_of", out.GetOnBehalfOf(), mostActor},
		{"passed_by", out.GetPassedBy(), mostActor},
	} {
		if len(f.text) > f.most {
			return nil, status.Errorf(
				codes.InvalidArgument,
				"act.%s: has %d bytes; %d is the most",
				f.name,
				len(f.text),
				f.most,
			)
		}
		if at := strings.IndexFunc(f.text, hidden); at >= 0 {
			return nil, status.Errorf(codes.InvalidArgument, "act.%s: byte %d is no character that can be shown; "+
				"write one line of text", f.name, at)
		}
	}
	if out.GetRequestId() == "" {
		out.RequestId = rand.Text()
	}
	return out, nil
}

// hidden characters are none that can be shown.
func hidden(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }

// Actor is who acts, for people: the caller's name, or where it calls from when it has none; and for whom.
func Actor(ctx context.Context, a *adminv1.Act) string {
	who := access.CallerOf(ctx).Name
	if who == "" {
		who = "somebody"
		if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
			who += " at " + p.Addr.String()
		}
	}
	if a.GetOnBehalfOf() != "" {
		return a.GetOnBehalfOf() + " by " + who
	}
	return who
}

// NotFound says that there is nothing of a name, and what is nearest to it.
func NotFound(what, name string, known []string) error {
	known = slices.Sorted(slices.Values(known))
	if near := config.Nearest(name, known); near != "" {
		return status.Errorf(codes.NotFound, "there is no %s %q; the nearest is %q", what, name, near)
	}
	if len(known) == 0 {
		return status.Errorf(codes.NotFound, "there is no %s %q, and no other", what, name)
	}
	return status.Errorf(codes.NotFound, "there is no %s %q; there are %s", what, name, list(known))
}

// mostListed is how many names an error lists.
const mostListed = 10

func list(names []string) string {
	if n := len(names) - mostListed; n > 0 {
		return strings.Join(names[:mostListed], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}

// Is reports whether an event is that of the act with an id.
func Is(e *adminv1.Event, id string) bool {
	return slices.Contains(strings.Fields(e.GetText()), "request_id="+id)
}
