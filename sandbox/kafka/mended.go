package kafka

import (
	"math"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// mended are the requests that kfake takes otherwise than a broker does, each with what makes its response right. They
// run on kfake's goroutine.
var mended = map[kmsg.Key]func(kmsg.Request){kmsg.Fetch: wholePartitions, kmsg.ListGroups: foldTypes}

// wholePartitions lifts the bound on the whole response of a read_committed fetch, so that only those of its
// partitions hold: kfake forgets to name the aborted transactions of the partition at which it cuts a response short,
// and its reader takes their records for committed ones.
func wholePartitions(request kmsg.Request) {
	if fetch, ok := request.(*kmsg.FetchRequest); ok && fetch.IsolationLevel == 1 {
		fetch.MaxBytes = math.MaxInt32
	}
}

// foldTypes writes the types of groups that a client asks for in lower case: Java asks for "Classic", a broker does
// not mind, and kfake would list no group.
func foldTypes(request kmsg.Request) {
	if list, ok := request.(*kmsg.ListGroupsRequest); ok {
		for i, kind := range list.TypesFilter {
			list.TypesFilter[i] = strings.ToLower(kind)
		}
	}
}

// versions are what the brokers offer: all of the current release but requests in whose response kfake writes null
// for an empty list, which Java's tools trip over. Clients fall back by themselves: from DescribeTopicPartitions to
// Metadata, from CreateTopics 5 to 4. Quotas and clients' telemetry have no fallback, and nothing behind them here.
func versions() *kversion.Versions {
	const none = -1
	offered := kversion.Stable()
	offered.SetMaxKeyVersion(int16(kmsg.CreateTopics), 4)
	for _, key := range []kmsg.Key{
		kmsg.DescribeTopicPartitions, kmsg.DescribeClientQuotas, kmsg.AlterClientQuotas, kmsg.GetTelemetrySubscriptions,
		kmsg.PushTelemetry,
	} {
		offered.SetMaxKeyVersion(int16(key), none)
	}
	return offered
}
