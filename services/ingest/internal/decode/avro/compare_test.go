package avro

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/twmb/avro"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// compareRecord says how a message differs from what twmb/avro has read; empty when it does not.
func compareRecord(m protoreflect.Message, t *typ, want any) string {
	values, ok := want.(map[string]any)
	if !ok {
		return fmt.Sprintf("%s is a %T", t.name, want)
	}
	for i, f := range t.fields {
		if differs := compareField(m, m.Descriptor().Fields().ByNumber(protoreflect.FieldNumber(i+1)), f.typ,
			values[f.name]); differs != "" {
			return f.name + ": " + differs
		}
	}
	return ""
}

func compareField(m protoreflect.Message, f protoreflect.FieldDescriptor, t *typ, want any) string {
	t, _ = t.column()
	switch t.kind {
	case kindArray:
		items := m.Get(f).List()
		wants, _ := want.([]any)
		if len(wants) != items.Len() {
			return fmt.Sprintf("%d items, want %d", items.Len(), len(wants))
		}
		item, _ := t.items.column()
		_, nullable := t.items.column()
		wrapped := nullable || item.kind == kindArray || item.kind == kindMap
		for i := range wants {
			if wrapped {
				around := items.Get(i).Message()
				if differs := compareField(around, around.Descriptor().Fields().ByNumber(1), t.items,
					wants[i]); differs != "" {
					return fmt.Sprintf("[%d]: %s", i, differs)
				}
				continue
			}
			if differs := compareValue(f, items.Get(i), item, wants[i]); differs != "" {
				return fmt.Sprintf("[%d]: %s", i, differs)
			}
		}
		return ""
	case kindMap:
		entries := m.Get(f).List()
		wants, _ := want.(map[string]any)
		if len(wants) != entries.Len() {
			return fmt.Sprintf("%d entries, want %d", entries.Len(), len(wants))
		}
		for i := range entries.Len() {
			e := entries.Get(i).Message()
			fields := e.Descriptor().Fields()
			key := e.Get(fields.ByNumber(1)).String()
			if differs := compareField(e, fields.ByNumber(2), t.items, wants[key]); differs != "" {
				return fmt.Sprintf("[%q]: %s", key, differs)
			}
		}
		return ""
	}
	if m.Has(f) != (want != nil) {
		return fmt.Sprintf("present %v, want %v", m.Has(f), want)
	}
	if want == nil {
		return ""
	}
	return compareValue(f, m.Get(f), t, want)
}

func compareValue(f protoreflect.FieldDescriptor, v protoreflect.Value, t *typ, want any) string {
	switch t.kind {
	case kindRecord:
		return compareRecord(v.Message(), t, want)
	case kindUnion:
		set := 0
		var differs string
		v.Message().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			set++
			differs = compareValue(f, v, t.branches[f.Number()-1], want)
			return true
		})
		if set != 1 {
			return fmt.Sprintf("%d branches set", set)
		}
		return differs
	}
	var text string
	switch w := want.(type) {
	case time.Time:
		switch {
		case t.logical == logicalDate:
			text = fmt.Sprint(w.Unix() / 86400)
		case moments[t.logical].kind == shape.DateTime:
			text = w.UTC().Format("2006-01-02 15:04:05.000000")
		default:
			text = fmt.Sprint(w.UnixMicro())
		}
	case avro.Duration:
		second, millis := w.Milliseconds/1000, w.Milliseconds%1000
		text = fmt.Sprintf("%d-%d %d %d:%d:%d", w.Months/12, w.Months%12, w.Days, second/3600, second/60%60, second%60)
		if millis > 0 {
			text += fmt.Sprintf(".%03d000", millis)
		}
	case [16]byte:
		text = fmt.Sprintf("%x-%x-%x-%x-%x", w[:4], w[4:6], w[6:8], w[8:10], w[10:])
	case time.Duration:
		text = time.UnixMicro(0).UTC().Add(w).Format("15:04:05.000000")
	case *big.Rat:
		if t.logical == logicalBigDecimal {
			if got, ok := new(big.Rat).SetString(v.String()); !ok || got.Cmp(w) != 0 {
				return fmt.Sprintf("%s, want %s", v, w)
			}
			return ""
		}
		text = w.FloatString(t.scale)
	case big.Rat:
		text = w.FloatString(t.scale)
	case json.Number:
		r, ok := new(big.Rat).SetString(w.String())
		if !ok {
			return "no number: " + w.String()
		}
		text = r.FloatString(t.scale)
	case float32:
		if math.Float32bits(w) == math.Float32bits(float32(v.Float())) {
			return ""
		}
		text = fmt.Sprint(w)
	case float64:
		if math.Float64bits(w) == math.Float64bits(v.Float()) {
			return ""
		}
		text = fmt.Sprint(w)
	default:
		text = fmt.Sprint(want)
	}
	if got := fmt.Sprint(v.Interface()); got != text {
		return fmt.Sprintf("%s of %s is %s, want %T %s", t.kind, f.FullName(), got, want, text)
	}
	return ""
}
