package lane

import (
	"errors"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// ownerOf is the lane that a checkpoint is sealed for.
func ownerOf(open *lanev1.Open) checkpoint.Owner {
	return checkpoint.Owner{
		Cluster: open.GetCluster(), Group: open.GetGroup(), Topic: open.GetTopic(), Partition: open.GetPartition(),
	}
}

// unseal is the token within a committed checkpoint. One that our keys did not seal for this lane is refused before
// anything in it is believed: it could name the stream of another lane, to be finalized or appended to.
func (l *lane) unseal(sealed string) (string, error) {
	token, unsigned, err := l.service.Keys.Open(sealed, ownerOf(l.open))
	switch {
	case errors.Is(err, checkpoint.ErrUnsigned):
		l.service.Metrics.foreign.WithLabelValues("unsigned").Inc()
		return "", fatal("open.checkpoint carries no MAC, and this writer has checkpoint.keys: it was committed "+
			"before there were keys, or forged. If there were none until now, set checkpoint.accept_unsigned: true "+
			"until every lane has committed; else, to start anew: %s", startAnew(l.open))
	case err != nil:
		l.service.Metrics.foreign.WithLabelValues("forged").Inc()
		return "", fatal("the MAC of open.checkpoint is by none of checkpoint.keys for cluster %q, group %q, "+
			"topic %q, partition %d: it was forged, copied from another lane, or sealed by a key that this writer "+
			"has not. Add the key to checkpoint.keys; else, to start anew: %s", l.open.GetCluster(), l.open.GetGroup(),
			l.open.GetTopic(), l.open.GetPartition(), startAnew(l.open))
	case unsigned && l.service.Keys != nil:
		l.service.Metrics.foreign.WithLabelValues("accepted").Inc()
	}
	return token, nil
}
