package source

import "github.com/IBM/sarama"

// Connect opens a broker that a client has named, unless it is open. A client that is being closed closes the brokers
// that are open by then: one that is opened behind its back would keep its connection for as long as we live.
func Connect(client sarama.Client, b *sarama.Broker) {
	_ = b.Open(client.Config()) // ErrAlreadyConnected when it is
	if client.Closed() {
		_ = b.Close()
	}
}
