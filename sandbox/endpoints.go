package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Names on the sandbox.
const (
	Project = "sandbox"
	Dataset = "waybill"
)

// EndpointsFile is the file in the sandbox's directory that names its endpoints, while it runs.
const EndpointsFile = "sandbox.json"

// Endpoints is where a running sandbox can be reached.
type Endpoints struct {
	Kafka        []string `json:"kafka"`         // host:port of each broker
	BigQueryGRPC string   `json:"bigquery_grpc"` // host:port of the Storage Write API
	BigQueryREST string   `json:"bigquery_rest"` // URL
	Registry     string   `json:"registry"`      // URL of the schema registry
	Admin        string   `json:"admin"`         // URL of the faults and rows
	Project      string   `json:"project"`
	Dataset      string   `json:"dataset"`
}

// ReadEndpoints reads the endpoints file of a running sandbox.
func ReadEndpoints(path string) (Endpoints, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Endpoints{}, fmt.Errorf("no sandbox runs here: %s does not exist. Start one with \"sandbox up\", or "+
			"name the file of another one with --sandbox", path)
	}
	if err != nil {
		return Endpoints{}, fmt.Errorf("endpoints of the sandbox: %w", err)
	}
	var e Endpoints
	if err := json.Unmarshal(text, &e); err != nil {
		return Endpoints{}, fmt.Errorf("endpoints of the sandbox: %s: %w", path, err)
	}
	return e, nil
}

// write puts the endpoints into dir, all or nothing.
func (e Endpoints) write(dir string) error {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("endpoints file: %w", err)
	}
	path := filepath.Join(dir, EndpointsFile)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("endpoints file: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("endpoints file: %w", err)
	}
	return nil
}
