package source

import (
	"errors"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
)

// dataClient is a client whose answers to fetches come in two parts: what sarama decodes, and the records as the broker sent them.
type dataClient struct {
	sarama.Client
	answers *kafkawire.Answers
}

// newDataClient makes a client of a configuration, which it leaves alone: kafkawire's connections lie over those of its dialer.
func newDataClient(brokers []string, c *sarama.Config) (*dataClient, error) {
	own := *c
	d := &kafkawire.Dialer{
		Connect:     c.Net.Proxy.Dialer.Dial,
		BodyTimeout: c.Net.ReadTimeout, MaxAnswer: sarama.MaxResponseSize, Answers: new(kafkawire.Answers),
	}
	own.Net.Proxy.Enable, own.Net.Proxy.Dialer = true, d
	client, err := sarama.NewClient(brokers, &own)
	if err != nil {
		return nil, err
	}
	return &dataClient{client, d.Answers}, nil
}

// noSession is the epoch of a fetch without a fetch session (KIP-227): each request names all its partitions, and the id of the session,
// always zero, has room for the ticket.
const noSession = -1

var errNoRecords = errors.New("the answer's records are missing: the connection was closed in between, or the answer is of another version than was asked for")

// fetch asks a broker of this client.
func (c *dataClient) fetch(b *sarama.Broker, request *sarama.FetchRequest) (*sarama.FetchResponse, *kafkawire.Answer, error) {
	response, err := b.Fetch(request)
	if err != nil {
		return nil, nil, err
	}
	records := c.answers.Take(response.SessionID)
	switch {
	case response.ErrorCode != 0:
		return nil, nil, sarama.KError(response.ErrorCode)
	case records == nil:
		return nil, nil, errNoRecords
	}
	return response, records, nil
}
