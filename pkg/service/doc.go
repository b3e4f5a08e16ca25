// Package service is what the two services have in common as processes: their commands, what Run needs of the process,
// the addresses they serve on, and how their gRPC servers count, log and survive calls.
//
//	var program = service.Program[ingest.Config]{Name: "ingest", Load: ingest.Load, Run: ingest.Run, ...}
//	code := program.Main(ctx, &commands{}, args, streams)     // cmd/ingest
//
//	env.Fill()                                                // ingest.Run
//	err := env.Listen(ctx, c.GRPC.Listen, c.Admin.Listen)
//	options, _ := service.ServerOptions(&env, ports, worthALine)
package service
