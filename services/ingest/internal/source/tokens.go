package source

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/oauth"
)

// tokens gives brokers the access token that holds when a connection authenticates: sarama's connections and, by text,
// our own.
type tokens struct {
	source   *oauth.Source
	provider string
}

// Token implements sarama.AccessTokenProvider.
func (t *tokens) Token() (*sarama.AccessToken, error) {
	text, err := t.text(context.Background())
	if err != nil {
		return nil, err
	}
	return &sarama.AccessToken{Token: text}, nil
}

func (t *tokens) text(ctx context.Context) (string, error) {
	token, err := t.source.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("kafka.sasl.oauth: %w", err)
	}
	if t.provider == oauth.Google {
		return oauth.GoogleKafka(token, time.Now())
	}
	return token.Text, nil
}
