package source

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/pkg/findings"
)

// A member that is another program gets partitions that nobody loads: check refuses, and who joins warns.
func TestOtherProgramsInTheGroup(t *testing.T) {
	for name, opts := range map[string][]kgo.Opt{
		"classic":  {kgo.Balancers(kgo.RangeBalancer())},
		"KIP-848":  {kgo.ServerSideBalancer()},
		"ingest":   nil,
		"no group": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, kfake.SeedTopics(4, testTopic))
			config := testConfig(c.ListenAddrs()...)
			foreign := opts != nil
			if foreign {
				k := producer(t, c, append(opts, kgo.ConsumerGroup(testGroup), kgo.ConsumeTopics(testTopic),
					kgo.ClientID("somebody-else"))...)
				eventually(t, "the other program in the group", func() bool {
					info := c.GroupInfo(testGroup)
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					k.PollFetches(ctx)
					return info != nil && len(info.Members) == 1
				})
			}
			if name == "ingest" {
				start(t, config, false).claim(t)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			reported := slices.ContainsFunc(Check(ctx, config, Topics{Names: []string{testTopic}}, nil),
				func(f findings.Finding) bool {
					return f.State == findings.Fail && strings.Contains(f.Detail, "somebody-else")
				})
			if reported != foreign {
				t.Errorf("check: reported %v", reported)
			}
			if name == "classic" {
				s := start(t, config.with(func(c *Config) { c.Kafka.Assignment = AssignRange }), false)
				eventually(t, "the warning", func() bool { return s.logs.Count("somebody-else") == 1 })
			}
		})
	}
}
