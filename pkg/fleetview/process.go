package fleetview

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/saturation"
	"github.com/waybill-data/waybill/pkg/version"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// NewProcess is what a process of either service says of itself; its lanes, its budget and where it belongs are to be
// filled in. notReady says why it cannot do its work, nil: it can.
func NewProcess(
	service string, self *adminv1.ProcessResponse, started time.Time, shares saturation.Shares, notReady error,
) *adminv1.Process {
	saturated, cause := shares.Of()
	p := &adminv1.Process{
		Name: self.GetProcess(), Service: service, Version: version.String(), Instance: self.GetInstance(),
		Address: self.GetAddress(), Started: timestamppb.New(started), Processor: shares.Processor,
		Saturation: saturated, SaturationCause: string(cause),
	}
	if notReady != nil {
		p.NotReady = notReady.Error()
	}
	return p
}
