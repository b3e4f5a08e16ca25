package service

import (
	"context"
	"log/slog"
	"runtime/debug"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
	caught := recovery.WithRecoveryHandler(func(p any) error {
		log.Error("a call panicked", "panic", p, "stack", string(debug.Stack()))
		return status.Error(codes.Internal, "internal error")
	})
	levels := logging.WithLevels(func(code codes.Code) logging.Level {
		if warn(code) {
			return logging.LevelWarn
		}
		return logging.LevelDebug
	})
	lines := logging.LoggerFunc(func(ctx context.Context, level logging.Level, msg string, fields ...any) {
		//nolint:sloglint // The middleware has a handful of static messages.
		log.Log(ctx, slog.Level(level), msg, fields...)
	})
	finished := logging.WithLogOnEvents(logging.FinishCall)
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(counted.UnaryServerInterceptor(),
			logging.UnaryServerInterceptor(lines, levels, finished), ports.Guard.Unary(),
			recovery.UnaryServerInterceptor(caught)),
		grpc.ChainStreamInterceptor(counted.StreamServerInterceptor(),
			logging.StreamServerInterceptor(lines, levels, finished), ports.Guard.Stream(),
			recovery.StreamServerInterceptor(caught)),
	}
	options = append(options, bounds()...)
	if ports.GRPC != nil {
		options = append(options, grpc.Creds(ports.GRPC))
	}
	return options, counted
}
