package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/service"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest"
)

// respondsWithin is how long the queried process may take: it queries others itself.
const respondsWithin = 10 * time.Second

// query are the flags of commands that query a running process.
type query struct {
	service.File
	At    string `placeholder:"HOST:PORT" help:"gRPC port of the ingest or writer to ask (default: grpc.listen of the configuration)."`
	Local bool   `help:"Only what that process knows of itself, without asking others."`
}

// dial makes a connection to the process at an address; empty: to the ingest of the configuration file. That is read no
// further than it takes: a process that runs is asked and steered while the contracts in the file are being mended.
func dial(file, at string) (*grpc.ClientConn, error) {
	c, err := ingest.LoadParts(file, "grpc", "writer")
	if err != nil {
		return nil, err
	}
	return ingest.DialAdmin(&c, at)
}

// remoteError is an error of a process that was asked, without gRPC's words around it. flag is the one that names
// another process.
func remoteError(err error, flag string) error {
	s := status.Convert(err)
	if s.Code() == codes.Unavailable || s.Code() == codes.DeadlineExceeded {
		return fmt.Errorf("%s; is an ingest running there? %s names another one", s.Message(), flag)
	}
	return errors.New(s.Message())
}

// dial connects.
func (a *query) dial() (adminv1.AdminServiceClient, io.Closer, error) {
	conn, err := dial(a.Config, a.At)
	if err != nil {
		return nil, nil, err
	}
	return adminv1.NewAdminServiceClient(conn), conn, nil
}

// request makes one call and closes the connection.
func request[A, R any](
	ctx context.Context, a *query, request A,
	call func(adminv1.AdminServiceClient, context.Context, A, ...grpc.CallOption) (R, error),
) (r R, err error) {
	client, conn, err := a.dial()
	if err != nil {
		return r, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, respondsWithin)
	defer cancel()
	if r, err = call(client, ctx, request); err != nil {
		return r, remoteError(err, "--at")
	}
	return r, nil
}

// asJSON prints a response for machines: the JSON of admin.v1, with the fields that are zero.
func asJSON(out io.Writer, m proto.Message) error {
	compact, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return err
	}
	return cli.JSON(out, json.RawMessage(compact))
}
