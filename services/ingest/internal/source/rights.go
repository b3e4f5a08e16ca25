package source

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/IBM/sarama"
)

// Operations are what the brokers say that a principal may do with a topic or group (KIP-430): a bit for each of
// Kafka's operations.
type Operations int32

// unknownOperations is what brokers say that do not tell.
const unknownOperations Operations = math.MinInt32

// Operations by the number of their bit (org.apache.kafka.common.acl.AclOperation).
var operationBits = map[string]uint{"READ": 3, "WRITE": 4, "DESCRIBE": 8}

// Lacks names those of some operations that are missing, as one says it: "READ and WRITE". It is empty when none is, or
// nothing is reported.
func (o Operations) Lacks(names ...string) string {
	if o == unknownOperations {
		return ""
	}
	var missing []string
	for _, name := range names {
		if o&(1<<operationBits[name]) == 0 {
			missing = append(missing, name)
		}
	}
	return strings.Join(missing, " and ")
}

// AnyBroker is an open connection of a client.
func AnyBroker(client sarama.Client) (*sarama.Broker, error) {
	b := client.LeastLoadedBroker()
	if b == nil {
		return nil, sarama.ErrOutOfBrokers
	}
	Connect(client, b)
	return b, nil
}

// TopicRights asks what we may do with a topic that exists.
func TopicRights(client sarama.Client, topic string) (Operations, error) {
	b, err := AnyBroker(client)
	if err != nil {
		return unknownOperations, err
	}
	request := sarama.NewMetadataRequest(client.Config().Version, []string{topic})
	request.IncludeTopicAuthorizedOperations = request.Version >= 8
	response, err := b.GetMetadata(request)
	if err != nil {
		_ = b.Close()
		return unknownOperations, err
	}
	for _, t := range response.Topics {
		switch {
		case t.Name != topic:
		case t.Err != sarama.ErrNoError && t.Err != sarama.ErrLeaderNotAvailable:
			return unknownOperations, t.Err
		case request.IncludeTopicAuthorizedOperations:
			return Operations(t.TopicAuthorizedOperations), nil
		}
	}
	return unknownOperations, nil
}

// groupView is what a coordinator says of a group.
type groupView struct {
	rights Operations
	// foreign are members that are not ingests, or cannot be together with them, as text.
	foreign []string
}

// rights are what we may do with the group, which need not be there.
func (o *offsets) rights() (Operations, error) {
	response, err := roundTrip(o, func(b *sarama.Broker) (*sarama.DescribeGroupsResponse, error) {
		return b.DescribeGroups(&sarama.DescribeGroupsRequest{
			Version: 5, Groups: []string{o.group}, IncludeAuthorizedOperations: true,
		})
	})
	if err != nil {
		return unknownOperations, err
	}
	for _, g := range response.Groups {
		switch {
		case g.Err == sarama.ErrGroupIDNotFound:
		case g.Err != sarama.ErrNoError:
			if coordinatorMoved(g.Err) {
				o.lost.Store(true)
			}
			return unknownOperations, g.Err
		default:
			return Operations(g.AuthorizedOperations), nil
		}
	}
	return unknownOperations, nil
}

// viewGroup asks the coordinator about the group. An ingest is recognized by its client id.
func (s *Source) viewGroup() (groupView, error) {
	view := groupView{rights: unknownOperations}
	response, err := roundTrip(s.offsets, func(b *sarama.Broker) (*sarama.DescribeGroupsResponse, error) {
		return b.DescribeGroups(&sarama.DescribeGroupsRequest{
			Version: 5, Groups: []string{s.offsets.group},
			IncludeAuthorizedOperations: true,
		})
	})
	if err != nil {
		return view, err
	}
	alive := 0
	for _, g := range response.Groups {
		switch {
		case g.Err == sarama.ErrGroupIDNotFound:
			continue
		case g.Err != sarama.ErrNoError:
			if coordinatorMoved(g.Err) {
				s.offsets.lost.Store(true)
			}
			return view, g.Err
		}
		view.rights = Operations(g.AuthorizedOperations)
		alive += len(g.Members)
		for _, m := range g.Members {
			switch {
			case g.ProtocolType != "" && g.ProtocolType != "consumer":
				view.foreign = append(view.foreign, fmt.Sprintf("%s at %s (protocol %s)", m.ClientId, m.ClientHost,
					g.ProtocolType))
			case m.ClientId != clientID:
				view.foreign = append(view.foreign, m.ClientId+" at "+m.ClientHost)
			}
		}
	}
	if alive == 0 {
		view.foreign, err = s.newMembers()
	}
	slices.Sort(view.foreign)
	return view, err
}

// newMembers are those of a group of the protocol of KIP-848, which requests about other groups do not show. Brokers
// before 3.7 have none.
func (s *Source) newMembers() (foreign []string, err error) {
	config, err := s.config.Kafka.ClientConfig()
	if err != nil {
		return nil, err
	}
	config.Version = sarama.V4_0_0_0 // an older broker says so, and gets no request that it does not know
	client, err := sarama.NewClient(s.config.Kafka.Brokers, config)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }() // only ErrClosedClient
	b, err := client.Coordinator(s.config.Kafka.Group)
	if err != nil {
		return nil, err
	}
	Connect(client, b)
	request := sarama.NewConsumerGroupDescribeRequest(config.Version)
	request.GroupIDs = []string{s.config.Kafka.Group}
	response, err := b.ConsumerGroupDescribe(request)
	if errors.Is(err, sarama.ErrUnsupportedVersion) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, g := range response.Groups {
		for _, m := range g.Members {
			if m.ClientID != clientID {
				foreign = append(foreign, m.ClientID+" at "+m.ClientHost+
					" (protocol of KIP-848, group.protocol=consumer)")
			}
		}
	}
	return foreign, nil
}

// sayForeign warns of members that are other programs: what the group gives them, nobody loads. It says so again when
// they change.
func (s *Source) sayForeign() {
	view, err := s.viewGroup()
	if err != nil {
		s.log.Debug("look at the group's members", "error", err)
		return
	}
	text := strings.Join(view.foreign, ", ")
	if last := s.foreign.Swap(&text); text != "" && (last == nil || *last != text) {
		s.log.Warn("other programs are members of the group: the partitions that it gives them are not loaded; "+
			"stop them, or set kafka.group to a name of its own", "group", s.config.Kafka.Group, "members", text)
	}
}
