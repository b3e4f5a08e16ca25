package events

import (
	"encoding/binary"
	"strconv"
)

// The topic of events whose schema is in the registry and changes: see schemas.Parcels.
const (
	ParcelTopic   = "parcels"
	ParcelSubject = "parcels-value"

	parcelType   = "contracts.parcel.ParcelScanned"
	parcelPrefix = "PCL-"
	parcelDigits = 12
)

var parcelServices = [...]string{"STANDARD", "EXPRESS", "RETURN"}

// Parcel makes event index of the topic parcels, as Delivery does: written with a version of the schema, from 1 on,
// behind the id that the registry has given to it. What the versions have in common is the same in all of them.
func (g *Generator) Parcel(dst []byte, index uint64, version int, schemaID uint32) Event {
	r := newRandom(g.config.Seed, index, saltParcel)
	nanos := g.nanos(index)
	a := avro{b: binary.BigEndian.AppendUint32(append(dst, 0), schemaID)}
	where := pick(&r, places)
	grams, service, fragile, postcode, labels := r.between(0, 31_500), r.below(len(parcelServices)), r.below(3),
		r.chance(60), r.between(0, 2)
	if version >= 3 {
		a.int(service)
	}
	a.digits(parcelPrefix, parcelDigits, index)
	if version >= 2 {
		if fragile == 0 {
			a.null()
		} else {
			a.some()
			a.boolean(fragile == 1)
		}
	}
	a.int(grams)
	if version >= 2 {
		if postcode {
			a.some()
			a.string(where.zip)
		} else {
			a.null()
		}
	}
	a.string(where.city)
	a.string(where.iso2)
	if version >= 3 {
		a.array(labels)
		for range labels {
			a.string(pick(&r, sizes))
		}
		a.end()
	}
	a.long(nanos / 1000)
	end := len(a.b)
	a.b = strconv.AppendUint(a.b, index%5000, 10)
	return Event{
		Topic: ParcelTopic, Nanos: nanos, Value: a.b[len(dst):end:end], Key: a.b[end:],
		Headers: [2]Header{{TypeHeader, parcelType}, {"producer", "parcel-service"}},
	}
}

// ParcelIndex is the index of the event with this parcel_id; ok is false for one that Parcel does not make.
func ParcelIndex(id string) (index uint64, ok bool) {
	if len(id) != len(parcelPrefix)+parcelDigits || id[:len(parcelPrefix)] != parcelPrefix {
		return 0, false
	}
	index, err := strconv.ParseUint(id[len(parcelPrefix):], 10, 64)
	return index, err == nil
}
