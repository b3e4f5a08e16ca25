// Package events generates what the producers of a delivery platform put into Kafka: V6 delivery events (schemaless
// Avro, about 9 KB each), stock updates (about 100 bytes), and parcel scans in JSON (270 bytes) and protobuf. An
// event depends on the seed and its index alone, so any event can be made again anywhere, in any order, by any number
// of goroutines.
//
//	generator := events.New(events.Config{Seed: 1})
//	event := generator.Delivery(nil, 0)   // the first event of delivery_events_v6_topic
//
// Deliveries live: event i belongs to a delivery that is created, put on hold, processed, shipped and then delivered or
// canceled, with the lives of a few dozen deliveries interleaved. A delivery's events carry its id as their key.
package events

import "strconv"

// Topics of the built-in contracts.
const (
	DeliveryTopic = "delivery_events_v6_topic"
	StockTopic    = "sms_physical_stock_updated_topic"
)

// TypeHeader is the record header that names the event's type.
const TypeHeader = "item_type_name"

// The steps of a delivery's life.
const (
	created = iota
	onHold
	processing
	shipped
	ended
	steps
)

// interleaved is the number of deliveries whose lives run at the same time.
const interleaved = 64

const (
	deliveryPrefix = "contracts.delivery.delivery_events_v6."
	stockType      = "contracts.sms.sms_physical_stock_updated_events.SMSPhysicalStockUpdated"
	unknownType    = "contracts.delivery.delivery_events_v7.DeliveryRoutedV7" // of the version to come
)

var deliveryTypes = [...]string{
	deliveryPrefix + "DeliveryCreatedV6", deliveryPrefix + "DeliveryOnHoldV6", deliveryPrefix + "DeliveryProcessingV6",
	deliveryPrefix + "DeliveryShippedV6", deliveryPrefix + "DeliveryDeliveredV6", deliveryPrefix + "DeliveryCanceledV6",
}

// Kind says what is special about an event.
type Kind uint8

// Kinds. Only Plain and Container events can become rows.
const (
	Plain       Kind = iota // schemaless Avro
	Container               // an Avro object container file with the event in it
	Truncated               // Plain, cut off somewhere: cannot be decoded
	UnknownType             // Plain, under a type that no contract knows
)

// Config of a generator. The zero value gives the usual mix.
type Config struct {
	Seed uint64
	// Size is the mean of a delivery event's Avro in bytes, default 9000. It can be met from about 3500 on; single
	// events run from a sixth to thrice of it.
	Size int
	// One of this many delivery events is of that kind, on average. 0 takes the default, a negative number makes none.
	ContainerEvery   int // default 500
	TruncatedEvery   int // default 2000
	UnknownTypeEvery int // default 5000
	// Start is the first event's time in nanoseconds since the epoch, default 2026-11-01T00:00:00Z. Events follow
	// each other by about 10 ms.
	Start int64
}

// Generator makes events. It is safe for concurrent use.
type Generator struct {
	config   Config
	richness float64
}

// Header is a Kafka record header.
type Header struct{ Key, Value string }

// Event is one record to be.
type Event struct {
	Topic   string
	Key     []byte
	Value   []byte
	Headers [2]Header
	Nanos   int64 // the event's own time, nanoseconds since the epoch
	Kind    Kind
}

// New returns a generator. The first with its Size, Seed and Start takes a few milliseconds, in which it finds out how
// rich events must be to meet Size.
func New(config Config) *Generator {
	def := func(value *int, otherwise int) {
		if *value == 0 {
			*value = otherwise
		}
	}
	def(&config.Size, 9000)
	def(&config.ContainerEvery, 500)
	def(&config.TruncatedEvery, 2000)
	def(&config.UnknownTypeEvery, 5000)
	if config.Start == 0 {
		config.Start = 1793491200 * 1e9
	}
	return &Generator{config: config, richness: richness(config)}
}

// Delivery makes event index of the delivery topic. Value and Key are appended to dst's array when it has room, so a
// caller that is done with the last event can pass its buffer again.
func (g *Generator) Delivery(dst []byte, index uint64) Event {
	value, id, step := g.encode(dst, index)
	dice := newRandom(g.config.Seed, index, saltKind)
	event := Event{Topic: DeliveryTopic, Nanos: g.nanos(index)}
	typeName := deliveryTypes[step]
	if step == ended && id[0]%10 == 0 {
		typeName = deliveryTypes[ended+1]
	}
	switch payload := value[len(dst):]; {
	case oneIn(&dice, g.config.TruncatedEvery):
		event.Kind = Truncated
		value = value[:len(dst)+len(payload)/10+dice.below(len(payload)*8/10)]
	case oneIn(&dice, g.config.UnknownTypeEvery):
		event.Kind = UnknownType
		typeName = unknownType
	case oneIn(&dice, g.config.ContainerEvery):
		event.Kind = Container
		value = appendContainer(value[:len(dst)], append([]byte(nil), payload...), dice.next())
	}
	end := len(value)
	value = appendHex(value, 32, id[:]...)
	event.Value, event.Key = value[len(dst):end:end], value[end:]
	event.Headers = [2]Header{{TypeHeader, typeName}, {"producer", "delivery-service"}}
	return event
}

// Stock makes event index of the stock topic, in the same way.
func (g *Generator) Stock(dst []byte, index uint64) Event {
	r := newRandom(g.config.Seed, index, saltStock)
	nanos := g.nanos(index)
	a := avro{b: dst}
	a.long(nanos)
	if r.chance(50) {
		a.null()
	} else {
		a.some()
		a.digits("PROC-", 8, r.next())
	}
	variant := r.between(1, 50000)
	a.int(variant)
	a.int(r.between(1, 40))
	a.string("Armazém " + pick(&r, places).city)
	a.int(r.between(1, 300))
	a.digits("560", 10, r.next())
	a.digits("REF-", 7, r.next())
	a.string(pick(&r, []string{"B2B", "B2C", ""}))
	delta := r.between(-20, 20)
	a.int(delta)
	a.int(max(0, r.between(-20, 500)+delta))
	end := len(a.b)
	a.b = strconv.AppendInt(a.b, int64(variant), 10)
	return Event{
		Topic: StockTopic, Nanos: nanos, Value: a.b[len(dst):end:end], Key: a.b[end:],
		Headers: [2]Header{{TypeHeader, stockType}, {"producer", "stock-service"}},
	}
}

// Of is what makes the events of a topic: Stock, ScanJSON and ScanProto for theirs, Delivery for every other one.
func (g *Generator) Of(topic string) func(dst []byte, index uint64) Event {
	switch topic {
	case StockTopic:
		return g.Stock
	case ScanJSONTopic:
		return g.ScanJSON
	case ScanProtoTopic:
		return g.ScanProto
	}
	return g.Delivery
}

// Salts keep the random streams of one index apart.
const (
	saltDelivery = iota + 1
	saltStep
	saltKind
	saltStock
	saltScan
	saltParcel
)

// encode appends the Avro of delivery event index, and gives the delivery's id and the step of its life.
func (g *Generator) encode(dst []byte, index uint64) (_ []byte, id [2]uint64, step int) {
	const life = interleaved * steps
	number := index/life*interleaved + index%interleaved
	step = int(index % life / interleaved)
	who := newRandom(g.config.Seed, number, saltDelivery)
	id = [2]uint64{who.next(), who.next()}
	d := delivery{
		avro:     avro{b: dst},
		random:   newRandom(g.config.Seed, index, saltStep),
		richness: g.richness,
		nanos:    g.nanos(index),
		born:     g.config.Start + int64(index/life*life+index%interleaved)*interval,
		step:     step,
	}
	d.event(id)
	return d.b, id, step
}

const interval = 10e6

// nanos is an event's time. Its low digits are not zero, so that a lost nanosecond shows.
func (g *Generator) nanos(index uint64) int64 {
	r := newRandom(g.config.Seed, index, saltStep)
	return g.config.Start + int64(index)*interval + int64(r.below(interval))
}

func oneIn(r *random, every int) bool { return every > 0 && r.below(every) == 0 }
