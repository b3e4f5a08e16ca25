package source

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
)

// maxDecompressed bounds what one compressed batch may inflate to. It guards against decompression bombs only: brokers
// limit batches to about a megabyte before compression is undone.
const maxDecompressed = 128 << 20

// saramaLog is where sarama's log goes. sarama has one logger a process; so has waybill.
var saramaLog atomic.Pointer[slog.Logger]

// sarama's process-wide settings are written once, before any of its goroutines can read them.
func init() {
	sarama.Logger = bridge{}
	sarama.MaxDecompressedBatchSize = maxDecompressed
	// The source counts for itself: sarama's meters would only cost a ticker and a histogram a broker.
	metrics.UseNilMetrics = true
}

// bridge hands sarama's lines to slog at debug level, and costs nothing when that level is off.
type bridge struct{}

func (bridge) Print(v ...any) { say(func() string { return fmt.Sprint(v...) }) }
func (bridge) Printf(format string, v ...any) {
	say(func() string { return fmt.Sprintf(format, v...) })
}
func (bridge) Println(v ...any) { say(func() string { return fmt.Sprintln(v...) }) }

func say(line func() string) {
	log := saramaLog.Load()
	if log == nil || !log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	log.Debug("sarama", "line", strings.TrimSpace(line()))
}
