package fleet

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// fit leaves out of a configuration what another version does not know, which would be an error to it. The example of
// that version has every key. Lists are left as they are.
func fit(config, example []byte) ([]byte, error) {
	var ours, theirs map[string]any
	if err := yaml.Unmarshal(config, &ours); err != nil {
		return nil, fmt.Errorf("the configuration: %w", err)
	}
	if err := yaml.Unmarshal(example, &theirs); err != nil {
		return nil, fmt.Errorf("the example: %w", err)
	}
	if len(theirs) == 0 {
		return nil, errors.New("the example has no keys")
	}
	prune(ours, theirs)
	return yaml.Marshal(ours)
}

func prune(ours, theirs map[string]any) {
	for key, value := range ours {
		known, ok := theirs[key]
		if !ok {
			delete(ours, key)
			continue
		}
		inner, isMap := value.(map[string]any)
		if of, ok := known.(map[string]any); isMap && ok {
			prune(inner, of)
		}
	}
}

// assignment is the value of kafka.assignment in an example, which is its default; empty when it has none.
func assignment(example []byte) (string, error) {
	var c struct {
		Kafka struct {
			Assignment string `yaml:"assignment"`
		} `yaml:"kafka"`
	}
	err := yaml.Unmarshal(example, &c)
	return c.Kafka.Assignment, err
}

// assign sets kafka.assignment in a configuration.
func assign(config []byte, value string) ([]byte, error) {
	var c map[string]any
	if err := yaml.Unmarshal(config, &c); err != nil {
		return nil, err
	}
	kafka, ok := c["kafka"].(map[string]any)
	if !ok {
		return nil, errors.New("the configuration has no kafka")
	}
	kafka["assignment"] = value
	return yaml.Marshal(c)
}
