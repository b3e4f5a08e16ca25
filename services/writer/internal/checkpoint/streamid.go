package checkpoint

import (
	"encoding/base64"
	"encoding/hex"
)

// BigQuery's stream ids are opaque. Those seen are base64 (no padding) of a protobuf message with one string field 1
// that reads `6657b487-0000-2417-8def-f403043e75c4:s14`. Packing is only ever a matter of size: an id that does not
// come back byte for byte is kept as it is.
const (
	uuidBytes = 16
	uuidText  = 36
	maxPlain  = 2 + 0x7f
)

// packID splits an id into its UUID and what follows it. It allocates only for the suffix.
func packID(uuid *[uuidBytes]byte, id string) (suffix string, ok bool) {
	var buf, again [maxPlain + 2]byte
	var text [2 * len(buf)]byte
	if len(id) > len(text) || base64.RawURLEncoding.DecodedLen(len(id)) > maxPlain {
		return "", false
	}
	n, err := base64.RawURLEncoding.Decode(buf[:], text[:copy(text[:], id)])
	if err != nil || n < 2+uuidText {
		return "", false
	}
	plain := buf[2+uuidText : n]
	var digits [2 * uuidBytes]byte
	d := 0
	for i, c := range buf[2 : 2+uuidText] {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			continue
		}
		digits[d] = c
		d++
	}
	if _, err := hex.Decode(uuid[:], digits[:]); err != nil {
		return "", false
	}
	m := unpackID(again[:0], uuid, plain)
	var back [2 * len(again)]byte
	base64.RawURLEncoding.Encode(back[:], m)
	if string(back[:base64.RawURLEncoding.EncodedLen(len(m))]) != id {
		return "", false
	}
	return string(plain), true
}

// unpackID appends the bytes whose base64 is the id.
func unpackID(dst []byte, uuid *[uuidBytes]byte, suffix []byte) []byte {
	dst = append(dst, 0x0a, byte(uuidText+len(suffix)))
	for i, n := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			dst = append(dst, '-')
		}
		at := [...]int{0, 4, 6, 8, 10}[i]
		dst = hex.AppendEncode(dst, uuid[at:at+n])
	}
	return append(dst, suffix...)
}
