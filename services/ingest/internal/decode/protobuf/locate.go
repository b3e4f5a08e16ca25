package protobuf

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// locate is the path of the field that holds byte at of a payload, with the indexes of lists. The machine keeps no
// path: this walks the payload again, for errors only. Where whole is set, at is the start of a message, and the path
// is the message's.
func locate(n *node, path string, src []byte, at int, whole bool) string {
	p, end := 0, len(src)
	counts := map[*field]int{}
	for p < end && !(whole && p == at) {
		start := p
		tag, q := decode.Varint(src[:end], p)
		if q < 0 {
			return path
		}
		number, wire := protowire.Number(tag>>3&0x1fffffff), protowire.Type(tag&7)
		size := protowire.ConsumeFieldValue(number, wire, src[q:end])
		i := n.find(tag)
		if i < 0 {
			if size < 0 || at < q+size {
				return path
			}
			p = q + size
			continue
		}
		f := &n.fields[i]
		name := path + "." + f.name
		packed := f.packed != 0 && uint64(f.packed) == tag
		if size < 0 || at < q+size {
			if packed && at >= q {
				counts[f] += elements(f, src[q:end], at-q)
			}
			if f.bit < 0 {
				name = fmt.Sprintf("%s[%d]", name, counts[f])
			}
			_, body := length(src[:end], q)
			if size < 0 || f.node == nil || wire != protowire.BytesType || at < body || at == start {
				return name
			}
			n, path, p, end = f.node, name, body, q+size
			counts = map[*field]int{}
			continue
		}
		if packed {
			counts[f] += elements(f, src[q:end], size)
		} else {
			counts[f]++
		}
		p = q + size
	}
	return path
}

// elements counts the elements of a packed list, length included, that start before at.
func elements(f *field, src []byte, at int) int {
	_, p := length(src, 0)
	if p < 0 {
		return 0
	}
	count := 0
	for ; p < at; count++ {
		size := protowire.ConsumeFieldValue(1, f.wire, src[p:])
		if size < 0 {
			break
		}
		p += size
	}
	return count
}
