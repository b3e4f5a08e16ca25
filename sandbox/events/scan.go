package events

import (
	"encoding/binary"
	"math"
	"strconv"
)

// Topics of the parcel scans: small events, the same ones as JSON and as protobuf. Their schemas are in package
// schemas.
const (
	ScanJSONTopic  = "parcel_scans_json"
	ScanProtoTopic = "parcel_scans_proto"
)

// ScanType is the type of every scan.
const ScanType = "contracts.parcel.parcel_scans.ParcelScanned"

// scanJSONSize is the size of every scan in JSON, in bytes: its remark fills what the other eight columns leave.
const scanJSONSize = 270

// scan is one reading of a parcel's label.
type scan struct {
	seq       int64 // the index of the event: any row says which event it was
	id        [2]uint64
	hub       string
	status    string
	weight    int // grams
	cents     int // of the price
	insured   bool
	scannedAt int64 // microseconds since the epoch
	fill      int   // bytes of the remark
}

var (
	scanHubs = []string{
		"Porto Campanhã", "Lisboa Oriente", "Rotterdam Maasvlakte", "Łódź Widzew", "Køge Nord", "Lyon Sud",
	}
	scanStatuses = []string{"IN_TRANSIT", "AT_HUB", "OUT_FOR_DELIVERY", "DELIVERED", "RETURNED"}
)

// scanRemark is what remarks are cut from. It is ASCII, so that it can be cut anywhere.
const scanRemark = "label read by the tunnel scanner; weight and size agree with the shipping note; no damage " +
	"seen on any side of the parcel; " +
	"sorted to the next lane; kept away from heat and moisture; seal intact; second pass was not needed; end of remark"

func (g *Generator) scan(index uint64) scan {
	r := newRandom(g.config.Seed, index, saltScan)
	s := scan{
		seq: int64(index), id: [2]uint64{r.next(), r.next()}, hub: pick(&r, scanHubs), status: pick(&r, scanStatuses),
		weight: r.between(20, 30000), cents: r.between(1, 99999), insured: r.chance(20),
		scannedAt: g.nanos(index) / 1000,
	}
	var scratch [2 * scanJSONSize]byte
	s.fill = scanJSONSize - len(s.json(scratch[:0]))
	return s
}

// json appends the scan, its remark s.fill bytes long.
func (s *scan) json(b []byte) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendInt(b, s.seq, 10)
	b = append(b, `,"scan_id":"`...)
	b = appendHex(b, 32, s.id[:]...)
	b = append(b, `","hub":"`...)
	b = append(b, s.hub...)
	b = append(b, `","status":"`...)
	b = append(b, s.status...)
	b = append(b, `","weight_g":`...)
	b = strconv.AppendInt(b, int64(s.weight), 10)
	b = append(b, `,"price":`...)
	b = strconv.AppendInt(b, int64(s.cents/100), 10)
	b = append(b, '.', '0'+byte(s.cents/10%10), '0'+byte(s.cents%10))
	b = append(b, `,"insured":`...)
	b = strconv.AppendBool(b, s.insured)
	b = append(b, `,"scanned_at":`...)
	b = strconv.AppendInt(b, s.scannedAt, 10)
	b = append(b, `,"remark":"`...)
	b = append(b, scanRemark[:s.fill]...)
	return append(b, `"}`...)
}

// proto appends the scan as the message waybill.sandbox.v1.ParcelScan, its fields in order of their numbers.
func (s *scan) proto(b []byte) []byte {
	varint := func(field int, v uint64) { b = binary.AppendUvarint(append(b, byte(field<<3)), v) }
	text := func(field int, v string) {
		b = append(binary.AppendUvarint(append(b, byte(field<<3|2)), uint64(len(v))), v...)
	}
	varint(1, uint64(s.seq))
	b = appendHex(append(b, 2<<3|2, 32), 32, s.id[:]...)
	text(3, s.hub)
	text(4, s.status)
	varint(5, uint64(s.weight))
	b = binary.LittleEndian.AppendUint64(append(b, 6<<3|1), math.Float64bits(float64(s.cents)/100))
	insured := uint64(0)
	if s.insured {
		insured = 1
	}
	varint(7, insured)
	varint(8, uint64(s.scannedAt))
	text(9, scanRemark[:s.fill])
	return b
}

// ScanJSON makes event index of the scans in JSON, 270 bytes each. Value and Key are appended to dst's array when it
// has room.
func (g *Generator) ScanJSON(dst []byte, index uint64) Event {
	s := g.scan(index)
	return s.event(ScanJSONTopic, s.json(dst), len(dst))
}

// ScanProto makes event index of the scans in protobuf: the same values as ScanJSON has, about 170 bytes.
func (g *Generator) ScanProto(dst []byte, index uint64) Event {
	s := g.scan(index)
	return s.event(ScanProtoTopic, s.proto(dst), len(dst))
}

func (s *scan) event(topic string, b []byte, from int) Event {
	end := len(b)
	b = appendHex(b, 16, s.id[0])
	return Event{
		Topic: topic, Nanos: s.scannedAt * 1000, Value: b[from:end:end], Key: b[end:],
		Headers: [2]Header{{TypeHeader, ScanType}, {"producer", "scan-service"}},
	}
}
