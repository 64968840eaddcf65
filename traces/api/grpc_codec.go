package api

import (
	"fmt"

	gogo "github.com/gogo/protobuf/proto"
	"google.golang.org/protobuf/proto"
)

// codec is gRPC's codec for protocol buffers that also takes what the standard
// one does not: the messages of Jaeger's version 2, which are gogo's.
type codec struct{}

// Name implements encoding.Codec.
func (codec) Name() string { return "proto" }

// Marshal implements encoding.Codec.
func (codec) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case proto.Message:
		return proto.Marshal(m)
	case gogo.Marshaler:
		return m.Marshal()
	}
	return nil, fmt.Errorf("%T is not a message", v)
}

// Unmarshal implements encoding.Codec.
func (codec) Unmarshal(data []byte, v any) error {
	switch m := v.(type) {
	case proto.Message:
		return proto.Unmarshal(data, m)
	case gogo.Unmarshaler:
		return m.Unmarshal(data)
	}
	return fmt.Errorf("%T is not a message", v)
}
