package checkpoint

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// A sealed token is the token, a dot, which is in no base64, and a message authentication code of token and lane: the
// first 16 bytes of HMAC-SHA256, base64url without padding. With MaxBytes it stays below what Kafka takes.
const (
	sealMark  = '.'
	sealBytes = 16
	// MinKeyBytes is the least that a key must have.
	MinKeyBytes = 32
)

// Owner is the lane that a sealed token belongs to. Its position is in the token.
type Owner struct {
	Cluster, Group, Topic string
	Partition             int32
}

// Errors of Open.
var (
	ErrUnsigned = errors.New("the checkpoint carries no MAC")
	ErrForged   = errors.New("the MAC of the checkpoint is by none of our keys for this lane")
)

// Keys are those of a moment: the first seals, all open.
type Keys struct{ keys [][]byte }

// NewKeys takes at least one key.
func NewKeys(keys [][]byte) (*Keys, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key")
	}
	for i, k := range keys {
		if len(k) < MinKeyBytes {
			return nil, fmt.Errorf("key %d has %d bytes, at least %d are needed", i, len(k), MinKeyBytes)
		}
	}
	return &Keys{keys}, nil
}

// Ring holds the keys as they are now; they may be replaced at any time. A nil Ring has none, and then tokens are
// neither sealed nor judged: those that carry a MAC, from a writer that has keys, are taken too.
type Ring struct {
	keys atomic.Pointer[Keys]
	// AcceptUnsigned takes tokens without a MAC too, of the time before there were keys.
	AcceptUnsigned bool
	// Reread looks for keys that came since, before a MAC is refused; nil: there is nowhere to look.
	Reread func()
}

// Set replaces the keys.
func (r *Ring) Set(k *Keys) { r.keys.Store(k) }

// Seal appends the MAC to a token.
func (r *Ring) Seal(token []byte, owner Owner) []byte {
	if r == nil {
		return token
	}
	sum := mac(r.keys.Load().keys[0], token, owner)
	return base64.RawURLEncoding.AppendEncode(append(token, sealMark), sum)
}

// Open is the token within a sealed one. Unsigned tells of one that was accepted without a MAC. The error is
// ErrUnsigned or ErrForged.
func (r *Ring) Open(sealed string, owner Owner) (token string, unsigned bool, err error) {
	token, seal, found := strings.Cut(sealed, string(sealMark))
	switch {
	case r == nil:
		return token, !found, nil
	case !found && r.AcceptUnsigned:
		return token, true, nil
	case !found:
		return "", true, ErrUnsigned
	}
	shown, err := base64.RawURLEncoding.DecodeString(seal)
	if err != nil {
		return "", false, ErrForged
	}
	if r.opens(token, owner, shown) {
		return token, false, nil
	}
	if r.Reread != nil {
		if r.Reread(); r.opens(token, owner, shown) {
			return token, false, nil
		}
	}
	return "", false, ErrForged
}

func (r *Ring) opens(token string, owner Owner, shown []byte) bool {
	for _, k := range r.keys.Load().keys {
		if hmac.Equal(mac(k, []byte(token), owner), shown) {
			return true
		}
	}
	return false
}

// mac is the code of a token for a lane. Each part stands behind its length, so that no two lanes are spelt alike.
func mac(key, token []byte, owner Owner) []byte {
	h := hmac.New(sha256.New, key)
	buffer := make([]byte, 0, 256)
	buffer = append(buffer, "waybill checkpoint 1"...)
	for _, part := range []string{owner.Cluster, owner.Group, owner.Topic} {
		buffer = binary.AppendUvarint(buffer, uint64(len(part)))
		buffer = append(buffer, part...)
	}
	buffer = binary.BigEndian.AppendUint32(buffer, uint32(owner.Partition))
	h.Write(buffer)
	h.Write(token)
	return h.Sum(nil)[:sealBytes]
}
