package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/waybill-data/waybill/pkg/service"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest"
)

// answersWithin is how long the queried process may take: it queries others itself.
const answersWithin = 10 * time.Second

// query are the flags of commands that query a running process.
type query struct {
	service.File
	At    string `placeholder:"HOST:PORT" help:"gRPC port of the ingest or writer to ask (default: grpc.listen of the configuration)."`
	Local bool   `help:"Only what that process knows of itself, without asking others."`
}

// dial connects.
func (a *query) dial() (adminv1.AdminServiceClient, io.Closer, error) {
	c, err := ingest.Load(a.Config)
	if err != nil {
		return nil, nil, err
	}
	conn, err := ingest.DialAdmin(&c, a.At)
	if err != nil {
		return nil, nil, err
	}
	return adminv1.NewAdminServiceClient(conn), conn, nil
}

// ask makes one call and closes the connection.
func ask[A, R any](
	ctx context.Context, a *query, request A,
	call func(adminv1.AdminServiceClient, context.Context, A, ...grpc.CallOption) (R, error),
) (r R, err error) {
	client, conn, err := a.dial()
	if err != nil {
		return r, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	if r, err = call(client, ctx, request); err != nil {
		return r, fmt.Errorf("%s; is an ingest running there? --at names another one", status.Convert(err).Message())
	}
	return r, nil
}

// asJSON prints a response for machines: the JSON of admin.v1, with the fields that are zero.
func asJSON(out io.Writer, m proto.Message) error {
	compact, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return err
	}
	return printJSON(out, json.RawMessage(compact))
}
