package protobuf

import (
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// symbols are the names of an enum's numbers, each as it stands in a row: length and text. Of two names of a number it is the first.
type symbols struct {
	dense []string // by number
	other map[int32]string
}

func newSymbols(e protoreflect.EnumDescriptor) *symbols {
	const densest = 4096
	s := &symbols{other: map[int32]string{}}
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		number, text := int32(v.Number()), string(protowire.AppendString(nil, string(v.Name())))
		if number < 0 || number >= densest {
			if _, ok := s.other[number]; !ok {
				s.other[number] = text
			}
			continue
		}
		for int(number) >= len(s.dense) {
			s.dense = append(s.dense, "")
		}
		if s.dense[number] == "" {
			s.dense[number] = text
		}
	}
	return s
}

// find is the name of a number with its length before it; empty for a number that the schema does not know.
func (s *symbols) find(number int32) string {
	if uint(number) < uint(len(s.dense)) {
		return s.dense[number]
	}
	return s.other[number]
}

// text appends length and name. A number that the schema does not know stands for itself, in decimal digits: the enum of a newer producer.
func (s *symbols) text(dst []byte, number int32) []byte {
	if name := s.find(number); name != "" {
		return append(dst, name...)
	}
	at := len(dst)
	dst = strconv.AppendInt(append(dst, 0), int64(number), 10)
	dst[at] = byte(len(dst) - at - 1)
	return dst
}
