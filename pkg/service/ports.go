package service

import (
	"crypto/tls"
	"fmt"

	"google.golang.org/grpc/credentials"

	"github.com/waybill-data/waybill/pkg/access"
)

// Ports is what lets callers in at the two ports of a service. Nil fields ask for nothing.
type Ports struct {
	// Guard tells callers apart.
	Guard *access.Guard
	// GRPC and Admin are TLS.
	GRPC  credentials.TransportCredentials
	Admin *tls.Config
}

// Secure reads the files of TLS and of access. The error names the key.
func Secure(grpc, admin *Listen, who access.Config, env *Env) (*Ports, error) {
	guard, err := access.New(who, env.Log, env.Registry)
	if err != nil {
		return nil, err
	}
	p := &Ports{Guard: guard}
	if p.GRPC, err = grpc.TLS.Credentials(Port{Key: "grpc", Identifies: who.Enabled(), Log: env.Log}); err != nil {
		return nil, fmt.Errorf("grpc.tls: %w", err)
	}
	if p.Admin, err = admin.TLS.Server(
		Port{Key: "admin", Identifies: who.Enabled(), Log: env.Log}, "http/1.1"); err != nil {
		return nil, fmt.Errorf("admin.tls: %w", err)
	}
	return p, nil
}
