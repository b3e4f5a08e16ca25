package source

import (
	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"

	"github.com/waybill-data/waybill/pkg/logging"
)

// maxDecompressed bounds what one compressed batch may inflate to. It guards against decompression bombs only: brokers
// limit batches to about a megabyte before compression is undone.
const maxDecompressed = 128 << 20

// saramaLog is where sarama's log goes. sarama has one logger a process; so has waybill.
var saramaLog = logging.Lines{Library: "sarama"}

// sarama's process-wide settings are written once, before any of its goroutines can read them.
func init() {
	sarama.Logger = &saramaLog
	sarama.MaxDecompressedBatchSize = maxDecompressed
	// The source counts for itself: sarama's meters would only cost a ticker and a histogram a broker.
	metrics.UseNilMetrics = true
}
