package protobuf

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// symbols are the names of an enum's numbers, each as it stands in a row: length and text. Of two names of a number it
// is the first.
type symbols struct {
	dense []string // by number
	other map[int32]string
}

func newSymbols(list []string) *symbols {
	const densest = 4096
	s := &symbols{other: map[int32]string{}}
	for _, symbol := range list {
		name, digits, _ := strings.Cut(symbol, " = ")
		number, _ := strconv.Atoi(digits) // of symbolsOf
		text := string(protowire.AppendString(nil, name))
		if number < 0 || number >= densest {
			if _, ok := s.other[int32(number)]; !ok {
				s.other[int32(number)] = text
			}
			continue
		}
		for number >= len(s.dense) {
			s.dense = append(s.dense, "")
		}
		if s.dense[number] == "" {
			s.dense[number] = text
		}
	}
	return s
}

// symbolsOf are the symbols of an enum as its schema writes them.
func symbolsOf(e protoreflect.EnumDescriptor) (list []string) {
	for i := range e.Values().Len() {
		list = append(list, fmt.Sprintf("%s = %d", e.Values().Get(i).Name(), e.Values().Get(i).Number()))
	}
	return list
}

// find is the name of a number with its length before it; empty for a number that the schema does not know.
func (s *symbols) find(number int32) string {
	if uint(number) < uint(len(s.dense)) {
		return s.dense[number]
	}
	return s.other[number]
}

// name is the name of a number; empty for a number that the schema does not know.
func (s *symbols) name(number int32) string {
	name := s.find(number)
	for more := name != ""; more; name = name[1:] {
		more = name[0] >= 0x80
	}
	return name
}

// text appends length and name. A number that the schema does not know stands for itself, in decimal digits: the enum
// of a newer producer.
func (s *symbols) text(dst []byte, number int32) []byte {
	if name := s.find(number); name != "" {
		return append(dst, name...)
	}
	at := len(dst)
	dst = strconv.AppendInt(append(dst, 0), int64(number), 10)
	dst[at] = byte(len(dst) - at - 1)
	return dst
}
