package service

import (
	"runtime/debug"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	calls "github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/logging"
)

// ServerOptions are the interceptors of a service's gRPC server: calls are counted in env's registry, those that end
// with a code that deserves a warning are logged, callers are told apart, and a call that panics ends with Internal.
// The metrics are for InitializeMetrics, once the server has its services.
func ServerOptions(
	env *Env, ports *Ports, warn func(codes.Code) bool,
) ([]grpc.ServerOption, *grpcprom.ServerMetrics) {
	counted := grpcprom.NewServerMetrics()
	env.Registry.MustRegister(counted)
	log := env.Log
	recovered := recovery.WithRecoveryHandler(func(p any) error {
		log.Error("a call panicked", "panic", p, "stack", string(debug.Stack()))
		return status.Error(codes.Internal, "internal error")
	})
	levels := calls.WithLevels(func(code codes.Code) calls.Level {
		if warn(code) {
			return calls.LevelWarn
		}
		return calls.LevelDebug
	})
	lines := &logging.Lines{}
	lines.To(log)
	finished := calls.WithLogOnEvents(calls.FinishCall)
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(counted.UnaryServerInterceptor(),
			calls.UnaryServerInterceptor(lines, levels, finished), ports.Guard.Unary(),
			recovery.UnaryServerInterceptor(recovered)),
		grpc.ChainStreamInterceptor(counted.StreamServerInterceptor(), gone,
			calls.StreamServerInterceptor(lines, levels, finished), ports.Guard.Stream(),
			recovery.StreamServerInterceptor(recovered)),
	}
	options = append(options, bounds()...)
	if ports.GRPC != nil {
		options = append(options, grpc.Creds(ports.GRPC))
	}
	return options, counted
}

// gone ends a call that was taken back before anybody looked at it: nothing is made for it.
func gone(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := stream.Context().Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	return next(srv, stream)
}
