package writer

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// errNotHere is what a writer says of acts that are about lanes, contracts and records.
var errNotHere = status.Error(codes.Unimplemented,
	"a writer places no lanes and reads neither records nor contracts: ask an ingest")

// Pause implements adminv1.SteeringServiceServer.
func (*steer) Pause(context.Context, *adminv1.PauseRequest) (*adminv1.PauseResponse, error) {
	return nil, errNotHere
}

// Resume implements adminv1.SteeringServiceServer.
func (*steer) Resume(context.Context, *adminv1.ResumeRequest) (*adminv1.ResumeResponse, error) {
	return nil, errNotHere
}

// ListPauses implements adminv1.SteeringServiceServer.
func (*steer) ListPauses(context.Context, *adminv1.ListPausesRequest) (*adminv1.ListPausesResponse, error) {
	return nil, errNotHere
}

// MoveLane implements adminv1.SteeringServiceServer.
func (*steer) MoveLane(context.Context, *adminv1.MoveLaneRequest) (*adminv1.MoveLaneResponse, error) {
	return nil, errNotHere
}

// Spread implements adminv1.SteeringServiceServer.
func (*steer) Spread(context.Context, *adminv1.SpreadRequest) (*adminv1.SpreadResponse, error) {
	return nil, errNotHere
}

// ReloadContracts implements adminv1.SteeringServiceServer.
func (*steer) ReloadContracts(
	context.Context, *adminv1.ReloadContractsRequest,
) (*adminv1.ReloadContractsResponse, error) {
	return nil, errNotHere
}

// SkipRecord implements adminv1.SteeringServiceServer.
func (*steer) SkipRecord(context.Context, *adminv1.SkipRecordRequest) (*adminv1.SkipRecordResponse, error) {
	return nil, errNotHere
}

// ReplayDeadLetters implements adminv1.SteeringServiceServer.
func (*steer) ReplayDeadLetters(
	*adminv1.ReplayDeadLettersRequest, adminv1.SteeringService_ReplayDeadLettersServer,
) error {
	return errNotHere
}

// Replay implements adminv1.SteeringServiceServer.
func (*steer) Replay(context.Context, *adminv1.ReplayRequest) (*adminv1.ReplayResponse, error) {
	return nil, errNotHere
}

// StopReplay implements adminv1.SteeringServiceServer.
func (*steer) StopReplay(context.Context, *adminv1.StopReplayRequest) (*adminv1.StopReplayResponse, error) {
	return nil, errNotHere
}
