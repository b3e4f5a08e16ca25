package lanewire

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Codec is the codec of both ends of a lane, for grpc.ForceCodecV2 and grpc.ForceServerCodecV2. Its name is that of
// gRPC's protobuf codec, because the bytes are the same: a peer without it is understood, and understands.
func Codec() encoding.CodecV2 {
	return codec{plain: encoding.GetCodecV2(grpcproto.Name)}
}

type codec struct {
	// plain carries everything that is not a batch.
	plain encoding.CodecV2
}

// Name implements encoding.CodecV2.
func (codec) Name() string { return grpcproto.Name }

// Marshal implements encoding.CodecV2. The references of an *Append pass to the result, also when it fails.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if a, ok := v.(*Append); ok {
		return encode(a)
	}
	return c.plain.Marshal(v)
}

// Unmarshal implements encoding.CodecV2. What a *Request or *Received held before is overwritten, not freed.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch r := v.(type) {
	case *Request:
		return c.request(data, r)
	case *Received:
		r.Err = c.request(data, &r.Request)
		return nil
	}
	if size := data.Len(); size > maxPlain {
		return fmt.Errorf("message of %d bytes, at most %d", size, maxPlain)
	}
	return c.plain.Unmarshal(data, v)
}

func (c codec) request(data mem.BufferSlice, r *Request) error {
	*r = Request{}
	recognised, err := decode(data, &r.Append)
	if err != nil {
		return fmt.Errorf("lane request: %w", err)
	}
	if recognised {
		return nil
	}
	return c.decodePlain(data, r)
}
