package events

// This file writes the parts of a delivery about where it goes and what the way costs, in the order of the schema.

func (d *delivery) address() {
	where := d.place
	if d.chance(20) {
		where = pick(&d.random, places)
	}
	d.int(d.between(1, 3000000))
	street := pick(&d.random, streets)
	d.digits(street+" ", 3, d.next())
	d.string(where.zip)
	d.string(where.city)
	d.maybeState(where.state)
	d.string(where.iso2)
	d.string(where.iso3)
	d.maybe(70, func() { d.string(d.customer) })
	d.maybeState(where.stateCode)
	d.problems(6)
	d.problems(3)
	normal := d.chance(80)
	d.boolean(normal)
	d.maybe(70, func() { d.boolean(normal) })
	d.string(street)
	d.string(where.zip)
	d.string(where.city)
	d.maybeState(where.state)
	d.maybeState(where.stateCode)
	d.string(where.iso2)
	d.problems(15)
}

func (d *delivery) maybeState(state string) {
	if state == "" {
		d.null()
		return
	}
	d.some()
	d.string(state)
}

// problems writes a map of strings, whose values are a union of one branch: each is preceded by the branch's index, 0.
func (d *delivery) problems(percent int) {
	if !d.chance(percent) {
		d.end()
		return
	}
	n := d.between(1, 2)
	first := d.below(len(fields))
	d.array(n)
	for i := range n {
		d.string(fields[(first+i)%len(fields)])
		d.long(0)
		d.string(pick(&d.random, issues))
	}
	d.end()
}

func (d *delivery) forecast(rank int) {
	d.int(rank)
	d.address()
	d.string(d.place.currency)
	d.double(d.price(3000))
	d.amounts(5000)
	d.amounts(6000)
	d.string(pick(&d.random, services))
	d.string(pick(&d.random, incoterms))
	packs := d.between(0, 2)
	d.array(packs)
	for range packs {
		d.digits("BOX", 2, d.next())
		d.string("Karton " + pick(&d.random, sizes))
	}
	d.end()
	d.double(float64(d.between(1, 4)))
	d.double(float64(d.between(4, 9)))
}

// logistics writes the fields from transport_lead_time to delivery_value_total.
func (d *delivery) logistics() {
	d.double(float64(d.between(1, 9)))
	d.double(float64(d.between(0, 48)))
	d.double(d.price(1000))
	d.maybe(60, func() { d.double(d.price(4000)) })
	d.maybe(60, func() { d.double(d.price(90) / 10) })
	if d.step >= shipped {
		d.some()
		d.digits("1Z", 16, d.next())
	} else {
		d.null()
	}
	d.boolean(d.chance(70))
	d.maybe(90, d.address)
	d.address()
	d.after(processing, 20)
	d.after(shipped, 26)
	d.maybe(60, func() {
		d.string(d.place.currency)
		d.double(d.price(2000))
		d.amounts(4000)
		d.boolean(d.chance(20))
	})
	d.maybe(70, func() { d.time(d.born + 2*3600e9) })
	d.maybe(70, func() { d.time(d.born + 3*3600e9) })
	d.double(d.price(4000))
	d.double(d.price(90) / 10)
	d.maybe(70, d.center)
	if d.step >= processing {
		d.some()
		d.center()
	} else {
		d.null()
	}
	d.amounts(90000)
}

func (d *delivery) center() {
	d.int(d.between(1, 40))
	d.string("Armazém " + d.place.city)
	d.digits("+351 ", 9, d.next())
	d.digits("warehouse-", 2, d.next())
	d.address()
}

// dates writes the seven nullable limits from expected_delivery_date to huub_can_be_processed_limit_date.
func (d *delivery) dates() {
	for hours := 24; hours <= 24*7; hours += 24 {
		d.maybe(65, func() { d.time(d.born + int64(hours)*3600e9) })
	}
}

// outcome writes the rest, from brand_documents_missing on.
func (d *delivery) outcome() {
	d.boolean(d.chance(10))
	d.boolean(d.chance(10))
	d.stock()
	d.after(onHold, 1)
	d.boolean(d.chance(50))
	d.boolean(d.chance(3))
	d.string(pick(&d.random, []string{"brand", "huub", ""}))
	d.boolean(d.chance(50))
	d.boolean(d.chance(50))
	d.boolean(d.step >= processing)
	d.maybe(50, func() { d.forecast(0) })
	if d.step >= shipped {
		d.some()
		d.carriage()
	} else {
		d.null()
	}
	d.string("wholesale")
	d.string(pick(&d.random, incoterms))
	d.float(float32(d.price(3000)))
	d.maybe(55, d.quote)
	d.maybe(45, d.quotes)
	d.maybe(80, func() { d.boolean(d.chance(5)) })
}

// carriage writes what the carrier charges: there is one once the delivery is shipped.
func (d *delivery) carriage() {
	d.address()
	d.address()
	d.string(d.place.currency)
	d.amounts(5000)
	d.string(pick(&d.random, services))
	d.string(pick(&d.random, incoterms))
	d.int(d.between(1, 30))
	name := pick(&d.random, carriers)
	d.string(name)
	d.digits("ops@carrier-", 2, d.next())
	d.digits("+49 ", 9, d.next())
	d.digits("C", 3, d.next())
	d.maybe(50, func() { d.digits("https://logo.example.com/", 4, d.next()) })
	d.maybe(50, func() { d.digits("https://carrier.example.com/", 4, d.next()) })
	d.maybeText(40, services)
	d.int(d.between(1, 90))
	d.string(name + " " + pick(&d.random, services))
	d.digits("ST", 3, d.next())
	d.boolean(d.chance(30))
	d.double(float64(d.between(1, 9)))
}

func (d *delivery) quote() {
	d.address()
	d.string(d.place.currency)
	d.double(d.price(5000))
	d.boolean(d.chance(30))
	d.string(pick(&d.random, services))
	d.time(d.born - 90*24*3600e9)
	d.time(d.born + 275*24*3600e9)
	d.double(float64(d.between(1, 4)))
	d.double(float64(d.between(4, 9)))
}

func (d *delivery) quotes() {
	d.digits("0.", 2, d.next())
	n := d.count(0, 3)
	d.array(n)
	for range n {
		d.quote()
	}
	d.end()
	packs := d.between(0, 3)
	d.array(packs)
	for range packs {
		d.digits("P", 6, d.next())
		d.float(float32(d.price(2000)))
		d.float(float32(d.price(100)))
		d.float(float32(d.price(3000)))
	}
	d.end()
}
