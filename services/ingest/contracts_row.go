package ingest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/pkg/lanewire"
	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/proto/image"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// rowPrinter prints rows of one message as BigQuery shows them.
type rowPrinter struct {
	message protoreflect.MessageDescriptor
}

func newRowPrinter(route *lanev1.Route) (*rowPrinter, error) {
	d := route.GetDescriptor_()
	if name := route.GetMessage(); name != "" {
		var err error
		if d, err = image.Self(name); err != nil {
			return nil, err
		}
	}
	message, err := lanewire.Message(d)
	if err != nil {
		return nil, fmt.Errorf("the row's descriptor: %w", err)
	}
	return &rowPrinter{message}, nil
}

// print turns one entry of `repeated rows = 1` into JSON.
func (p *rowPrinter) print(framed []byte, indent string) ([]byte, error) {
	size, n := binary.Uvarint(framed[1:])
	if n <= 0 || uint64(len(framed)-1-n) != size {
		return nil, errors.New("the row is not framed as it should be")
	}
	row := dynamicpb.NewMessage(p.message)
	if err := proto.Unmarshal(framed[1+n:], row); err != nil {
		return nil, fmt.Errorf("the row cannot be read back: %w", err)
	}
	out := appendRecord(nil, row)
	if indent == "" {
		return out, nil
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, out, "", indent); err != nil {
		return nil, fmt.Errorf("the row cannot be printed: %w", err)
	}
	return pretty.Bytes(), nil
}

func appendRecord(dst []byte, m protoreflect.Message) []byte {
	dst = append(dst, '{')
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, string(f.Name())), ':')
		switch {
		case f.IsList():
			list := m.Get(f).List()
			dst = append(dst, '[')
			for j := range list.Len() {
				if j > 0 {
					dst = append(dst, ',')
				}
				dst = appendCell(dst, f, list.Get(j))
			}
			dst = append(dst, ']')
		case m.Has(f):
			dst = appendCell(dst, f, m.Get(f))
		default:
			dst = append(dst, "null"...)
		}
	}
	return append(dst, '}')
}

// appendCell appends one value, times as GoogleSQL prints them.
func appendCell(dst []byte, f protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	option, _ := proto.GetExtension(f.Options(), columnv1.E_Column).(*columnv1.Column)
	switch option.GetType() {
	case columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP:
		return appendText(dst, time.UnixMicro(v.Int()).UTC().Format("2006-01-02 15:04:05.999999 UTC"))
	case columnv1.ColumnType_COLUMN_TYPE_DATE:
		return appendText(dst, time.Unix(v.Int()*24*60*60, 0).UTC().Format(time.DateOnly))
	case columnv1.ColumnType_COLUMN_TYPE_JSON:
		if text := []byte(v.String()); json.Valid(text) {
			return append(dst, text...)
		}
	}
	switch f.Kind() {
	case protoreflect.MessageKind:
		return appendRecord(dst, v.Message())
	case protoreflect.BoolKind:
		return strconv.AppendBool(dst, v.Bool())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		bits := 64
		if f.Kind() == protoreflect.FloatKind {
			bits = 32
		}
		if n := v.Float(); math.IsNaN(n) || math.IsInf(n, 0) {
			return appendText(dst, strconv.FormatFloat(n, 'g', -1, bits))
		}
		return strconv.AppendFloat(dst, v.Float(), 'g', -1, bits)
	case protoreflect.BytesKind:
		return appendText(dst, base64.StdEncoding.EncodeToString(v.Bytes()))
	case protoreflect.StringKind:
		return appendText(dst, v.String())
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return strconv.AppendUint(dst, v.Uint(), 10)
	}
	return strconv.AppendInt(dst, v.Int(), 10)
}

// appendText appends a JSON string, with no character escaped that need not be.
func appendText(dst []byte, text string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		return append(dst, `""`...) // a string always encodes
	}
	return append(dst, bytes.TrimSpace(b.Bytes())...)
}
