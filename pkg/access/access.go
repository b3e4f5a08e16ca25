// Package access decides who may do what at a port: who a caller is, by its certificate or its token; which rights that
// gives; and which right a method or a page needs.
//
//	guard, err := access.New(config, log, registry)
//	grpc.NewServer(guard.ServerOptions()...)   // every call, by methods.go
//	http.Server{Handler: guard.HTTP(pages)}    // every request, by methods.go
//	access.CallerOf(ctx).May(access.Operator)  // in a handler, for what only some may see
//
// Without identities, tokens and an issuer there is nobody to tell apart: whoever the port lets in may do everything.
// Certificates and tokens are judged again while a call lasts, so that one that ends or is taken away ends the call.
package access

import (
	"context"
	"slices"
)

// Right is what a caller may do.
type Right string

const (
	// Lane is to carry lanes: what ingest needs at a writer.
	Lane Right = "lane"
	// Viewer is to see how things go: lanes, tables, metrics.
	Viewer Right = "viewer"
	// Payload is to see the contents of records. It includes Viewer.
	Payload Right = "payload"
	// Operator is to act, and to see what one could act with: names of write streams, profiles. It includes Viewer.
	Operator Right = "operator"
)

// Rights is every right.
var Rights = []Right{Lane, Viewer, Payload, Operator}

// Caller is who makes a call, and what it may do.
type Caller struct {
	// Name is the URI or DNS name in its certificate, or the name of its token; empty when there is neither.
	Name string
	// rights are what it was given; every right when all is set.
	rights []Right
	all    bool
	// scopes are those of the grants that give it Lane.
	scopes []Scope
}

// grant is what an identity or a token is given.
type grant struct {
	rights []Right
	only   Scope
}

// give adds a grant.
func (c *Caller) give(g grant) {
	for _, r := range g.rights {
		if !slices.Contains(c.rights, r) {
			c.rights = append(c.rights, r)
		}
	}
	if slices.Contains(g.rights, Lane) {
		c.scopes = append(c.scopes, g.only)
	}
}

// May tells whether the caller has a right.
func (c Caller) May(r Right) bool {
	return c.all || slices.Contains(c.rights, r) ||
		r == Viewer && (slices.Contains(c.rights, Operator) || slices.Contains(c.rights, Payload))
}

type callerKey struct{}

// CallerOf is the caller of the call or request of a context. Without a guard in between it is somebody without a name
// who may do everything.
func CallerOf(ctx context.Context) Caller {
	if c, ok := ctx.Value(callerKey{}).(Caller); ok {
		return c
	}
	return Caller{all: true}
}

func with(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}
