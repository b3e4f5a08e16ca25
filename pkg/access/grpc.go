package access

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// judgeEvery is how often the certificate or token of a call that lasts is judged again.
const judgeEvery = 10 * time.Second

// Unary is the interceptor of unary calls.
func (g *Guard) Unary() grpc.UnaryServerInterceptor {
	return selector.UnaryServerInterceptor(auth.UnaryServerInterceptor(g.authenticate), g.closed())
}

// Stream is the interceptor of streaming calls, which goes on judging them: when their caller's certificate or token
// ends or is taken away, they end before their next message.
func (g *Guard) Stream() grpc.StreamServerInterceptor {
	let := auth.StreamServerInterceptor(g.authenticate)
	return selector.StreamServerInterceptor(func(
		srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler,
	) error {
		return let(srv, s, info, func(srv any, s grpc.ServerStream) error {
			return handle(srv, &lasting{ServerStream: s, guard: g, next: time.Now().Add(judgeEvery)})
		})
	}, g.closed())
}

// closed matches the methods that are not left open, so that those cost nothing.
func (g *Guard) closed() selector.Matcher {
	return selector.MatchFunc(func(_ context.Context, c interceptors.CallMeta) bool {
		return g != nil && !g.isOpen(needed(methods, c.FullMethod()))
	})
}

// authenticate implements auth.AuthFunc.
func (g *Guard) authenticate(ctx context.Context) (context.Context, error) {
	method, _ := grpc.Method(ctx)
	bearer, _ := auth.AuthFromMD(ctx, "bearer") // Without one, there is the certificate.
	var state *tls.ConnectionState
	from := ""
	if p, ok := peer.FromContext(ctx); ok {
		from = p.Addr.String()
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			state = &info.State
		}
	}
	ctx, no := g.admit(ctx, needed(methods, method), method, from, state, bearer)
	switch {
	case no == nil:
		return ctx, nil
	case no.why == denied:
		return nil, status.Error(codes.PermissionDenied, no.message)
	default:
		return nil, status.Error(codes.Unauthenticated, no.message)
	}
}

// lasting is a call whose caller is judged again from time to time.
type lasting struct {
	grpc.ServerStream
	guard *Guard
	next  time.Time // of the goroutine that receives
}

// RecvMsg implements grpc.ServerStream. It judges before it receives: a message received belongs to the handler.
func (l *lasting) RecvMsg(m any) error {
	if now := time.Now(); now.After(l.next) {
		l.next = now.Add(judgeEvery)
		ctx, err := l.guard.authenticate(l.Context())
		if err != nil {
			return err
		}
		// What was asked at the beginning of the call would be judged otherwise now.
		if c := CallerOf(ctx); !sameScopes(c, CallerOf(l.Context())) {
			return status.Errorf(codes.Aborted, "which lanes %s may carry has changed: call again", c.Name)
		}
	}
	return l.ServerStream.RecvMsg(m)
}
