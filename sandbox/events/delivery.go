package events

// delivery writes one DeliveryEvent. body decides what belongs to the delivery and so repeats in all its events; step
// is the place of this event in the delivery's life. Nullable fields that a life fills later are null before.
type delivery struct {
	avro
	random

	richness float64
	nanos    int64 // event time
	born     int64 // time of the delivery's first event
	step     int
	place    place
	customer string
}

func pick[T any](r *random, from []T) T { return from[r.below(len(from))] }

// count draws from [low, high] with small numbers more frequent, and scales the excess over low by richness.
func (d *delivery) count(low, high int) int {
	span := high - low
	draw := min(d.below(span+1), d.below(span+1))
	scaled := float64(float64(draw) * d.richness) // rounded here: a fused multiply-add would differ by architecture
	return low + int(scaled+0.5)
}

// maybe writes a nullable value that is present with the given probability in percent.
func (d *delivery) maybe(percent int, value func()) {
	if !d.chance(percent) {
		d.null()
		return
	}
	d.some()
	value()
}

func (d *delivery) maybeText(percent int, from []string) {
	d.maybe(percent, func() { d.string(pick(&d.random, from)) })
}

// after writes a nullable time that exists from a step of the life on, hours after the delivery was born.
func (d *delivery) after(step, hours int) {
	if d.step < step {
		d.null()
		return
	}
	d.some()
	d.time(d.born + int64(hours)*3600e9)
}

// price is an amount in cents up to limit, as a float; now and then zero, since zero must not turn into null.
func (d *delivery) price(limit int) float64 {
	if d.chance(4) {
		return 0
	}
	return float64(d.below(limit)) / 100
}

func (d *delivery) amounts(limit int) {
	base := d.price(limit)
	d.double(base)
	d.double(base * 0.23)
	d.double(base * 1.23)
}

func (d *delivery) event(id [2]uint64) {
	d.place = pick(&d.random, places)
	d.customer = pick(&d.random, personNames)
	d.long(d.nanos)
	d.hex(32, id[:]...)
	d.digits("D", 9, id[0])
	d.order(id[1])
	items := d.count(1, 8)
	d.array(items)
	for range items {
		d.item()
	}
	d.end()
	d.string(statuses[d.step])
	d.string(pick(&d.random, incoterms))
	d.buyer()
	d.brand()
	d.time(d.born + 72*3600e9)
	forecasts := d.count(0, 4)
	d.array(forecasts)
	for rank := range forecasts {
		d.forecast(rank + 1)
	}
	d.end()
	d.papers()
	d.packs(items)
	d.logistics()
	d.dates()
	d.outcome()
}

func (d *delivery) order(number uint64) {
	d.int(d.between(1, 900000))
	d.int(d.between(1, 400))
	d.string(pick(&d.random, brands))
	d.string(pick(&d.random, []string{"B2B", "B2C"}))
	d.digits("SO-", 8, number)
	d.digits("#", 6, number>>7)
	d.time(d.born - 3600e9)
	d.int(d.below(12))
	d.string(d.place.currency)
	d.amounts(80000)
	d.int(d.step)
	d.boolean(d.chance(10))
	d.string(pick(&d.random, services))
	d.string("warehouse")
	d.boolean(d.chance(8))
	d.boolean(d.chance(30))
	d.boolean(d.chance(30))
}

func (d *delivery) item() {
	d.variant()
	quantity := d.between(1, 5)
	d.int(quantity)
	d.int(quantity)
	d.string(d.place.currency)
	d.amounts(20000)
	d.boolean(d.chance(5))
	d.stock()
}

func (d *delivery) variant() {
	id := d.next()
	d.int(int(id % 900000))
	d.int(int(id >> 20 % 90000))
	d.string(pick(&d.random, productNames))
	d.digits("REF-", 7, id)
	d.string(pick(&d.random, modelNames))
	d.string(pick(&d.random, materials))
	d.string(pick(&d.random, []string{"female", "male", "unisex"}))
	d.string(pick(&d.random, []string{"adult", "kid", "baby"}))
	d.digits("560", 10, id>>8)
	d.digits("6110", 4, id>>12)
	d.string(d.place.currency)
	d.double(d.price(25000))
	d.double(d.price(12000))
	d.int(d.between(1, 300))
	d.string(pick(&d.random, brands))
	d.string(pick(&d.random, brands))
	d.string(d.place.iso2)
	d.string(pick(&d.random, []string{"SS26", "FW26", "SS27"}))
	d.string("apparel")
	d.string(pick(&d.random, families))
	d.string(pick(&d.random, garments))
	d.string(pick(&d.random, colors))
	d.string(pick(&d.random, sizes))
	d.string(pick(&d.random, fabrics))
	d.string(pick(&d.random, []string{"casual", "formal", "sport", ""}))
	d.string("flat packed")
	d.digits("0.", 3, id>>3)
	d.digits("0.0", 4, id>>5)
	d.digits("", 2, id>>7)
	d.digits("", 2, id>>9)
	d.digits("", 1, id>>11)
	d.string(pick(&d.random, modelNames))
	d.time(d.born + 30*24*3600e9)
}

func (d *delivery) stock() {
	missing := d.chance(6)
	d.boolean(missing)
	d.boolean(false)
	d.boolean(!missing)
	if missing {
		d.int(d.between(1, 3))
		return
	}
	d.int(0)
}

func (d *delivery) buyer() {
	d.int(d.between(1, 2000000))
	d.string(d.customer)
	d.digits("customer.", 7, d.next())
	d.digits("+351 ", 9, d.next())
	d.maybeText(40, notes)
	d.maybeText(30, personNames)
	d.maybe(25, func() { d.digits("PT", 9, d.next()) })
	addresses := d.count(1, 3)
	d.array(addresses)
	for range addresses {
		d.address()
	}
	d.end()
}

func (d *delivery) brand() {
	d.int(d.between(1, 300))
	d.string(pick(&d.random, brands))
	d.digits("hello@brand-", 3, d.next())
	d.digits("+44 ", 10, d.next())
	d.maybeText(30, notes)
	d.maybe(80, func() { d.digits("https://brand.example.com/", 6, d.next()) })
	d.maybe(70, func() { d.hex(64, d.next(), d.next(), d.next(), d.next()) })
	d.boolean(d.chance(50))
	d.maybe(20, func() { d.digits("PTREX", 8, d.next()) })
	d.maybe(90, func() { d.string(d.place.currency) })
	d.maybe(30, func() { d.digits("PT", 9, d.next()) })
	d.boolean(d.chance(10))
	d.maybeText(60, streets)
	d.int(d.below(4))
	for range 4 {
		d.maybe(60, func() { d.boolean(d.chance(50)) })
	}
}

// papers writes the documents.
func (d *delivery) papers() {
	n := d.count(1, len(documents))
	d.array(n)
	for i := range n {
		name := documents[i%len(documents)]
		d.string(name)
		d.maybe(70, func() { d.hex(48, d.next(), d.next(), d.next()) })
		d.double(d.price(800))
		d.string(pick(&d.random, []string{"brand", "huub"}))
		d.boolean(d.chance(60))
		d.string(name + ".pdf")
	}
	d.end()
}

// packs writes the parcels: none before the delivery is processed, then one, or one for every few items.
func (d *delivery) packs(items int) {
	if d.step < processing {
		d.end()
		return
	}
	parcels := 1 + items/4
	d.array(parcels)
	for i := range parcels {
		d.int(d.between(1, 5000000))
		d.int(d.between(1, 5000000))
		d.int(d.between(1, 9000))
		d.boolean(true)
		d.digits("00356", 13, d.next())
		packed := items / parcels
		if i == 0 {
			packed += items % parcels
		}
		d.array(packed)
		for range packed {
			d.item()
		}
		d.end()
	}
	d.end()
}
