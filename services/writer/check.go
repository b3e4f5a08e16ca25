package writer

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/pkg/memory"
	"github.com/waybill-data/waybill/pkg/version"
	"github.com/waybill-data/waybill/services/writer/internal/sink"
)

// Check looks at everything that a configuration points to: credentials, dataset, permissions, the Storage Write API. It changes nothing.
func Check(ctx context.Context, c Config) []findings.Finding {
	var found []findings.Finding
	if need, limit, tooLarge := memory.TooLarge(c.Memory.Size(), 0); tooLarge {
		found = append(found, findings.Finding{
			What: "memory.budget", State: findings.Warn,
			Detail: fmt.Sprintf("the process takes about %d MiB with it, and the container has %d", need>>20, limit>>20),
			Remedy: "leave memory.budget out, or raise the container's limit",
		})
	}
	return append(found, sink.Check(ctx, c.BigQuery, version.String())...)
}

// Health asks a running writer at its admin address how it is. It is for images without a shell.
func Health(ctx context.Context, c Config) error {
	host, port, err := net.SplitHostPort(c.Admin.Listen)
	if err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("no writer answers: %w", err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", strings.TrimSpace(string(said)))
	}
	return nil
}
