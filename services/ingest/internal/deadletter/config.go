package deadletter

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
)

// Config says where records go that will not become rows.
type Config struct {
	// Suffix makes the name of the dead-letter topic from that of the topic.
	Suffix string `yaml:"suffix"`
	// Create makes a missing dead-letter topic; otherwise lanes wait for someone to do it.
	Create bool `yaml:"create"`
	// Partitions of a dead-letter topic that we create.
	Partitions int32 `yaml:"partitions"`
	// Replication of a dead-letter topic that we create; -1 is the broker's default.
	Replication int16 `yaml:"replication"`
}

// Defaults is the one place of the section's defaults.
func Defaults() Config {
	return Config{Suffix: ".dead-letter", Create: true, Partitions: 1, Replication: -1}
}

// kafkaName is what brokers take for the name of a topic.
var kafkaName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// maxPartitions bounds those of a dead-letter topic.
const maxPartitions = 1000

// maxSuffix leaves most of the name of a dead-letter topic to the topic.
const maxSuffix = 100

// Check reports what is wrong with the section.
func (d *Config) Check(report func(key, message, remedy string)) {
	switch {
	case d.Suffix == "":
		report("suffix", "is empty", "dead letters cannot go to the topic they come from; write .dead-letter")
	case !kafkaName.MatchString(d.Suffix):
		report("suffix", fmt.Sprintf("%q cannot be in the name of a topic", d.Suffix),
			"use letters, digits, dots, underscores and hyphens")
	case len(d.Suffix) > maxSuffix:
		report("suffix", fmt.Sprintf("leaves no room for the topic in a name of %d characters", maxTopic),
			fmt.Sprintf("write %d characters at most", maxSuffix))
	}
	if d.Partitions < 1 || d.Partitions > maxPartitions {
		report("partitions", fmt.Sprintf("%d is out of range", d.Partitions),
			fmt.Sprintf("write 1 to %d; 1 is right for most", maxPartitions))
	}
	if d.Replication < 1 && d.Replication != -1 {
		report("replication", "is out of range", "write -1 for the broker's default, or 1 or more")
	}
}

// maxTopic is how long the name of a topic may be, in characters (Kafka, Topic.MAX_NAME_LENGTH).
const maxTopic = 249

// Topic is the name of a topic's dead-letter topic: the topic's with the suffix. Of a name that leaves no room for it
// the end gives way to a fingerprint of the whole name: "a-very-long-na-1b2c3d4e.dead-letter".
func (d *Config) Topic(topic string) string {
	if len(topic)+len(d.Suffix) <= maxTopic {
		return topic + d.Suffix
	}
	sum := sha256.Sum256([]byte(topic))
	mark := "-" + hex.EncodeToString(sum[:4]) + d.Suffix
	return topic[:max(0, maxTopic-len(mark))] + mark
}
