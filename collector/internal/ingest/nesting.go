package ingest

import (
	"google.golang.org/protobuf/encoding/protowire"

	"belfry/internal/fault"
)

// MaxNesting bounds how deep an attribute's arrays and maps may lie in each
// other. Decoders of OTLP recurse without a bound of their own, and a Go
// program does not survive the overflow of its stack: one request of 32 MiB
// could hold three million levels.
const MaxNesting = 64

// levelSize is the least number of bytes that one level takes in protobuf.
const levelSize = 4

// maxJSONNesting allows what MaxNesting allows: a map in a map opens four
// brackets in JSON, and the way down to an attribute about a dozen.
const maxJSONNesting = 4*MaxNesting + 16

var errNesting = fault.Invalidf("attribute values are nested deeper than %d levels", MaxNesting)

// CheckJSONNesting looks at brackets only; what else is wrong the decoder says.
func CheckJSONNesting(body []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString:
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > maxJSONNesting {
				return errNesting
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// message is a protobuf message type, reduced to the fields through which an
// attribute value can be reached.
type message struct {
	fields  [16]*message
	isValue bool // an AnyValue
}

func (m *message) with(field int, child *message) *message {
	m.fields[field] = child
	return m
}

// requestTypes returns the three request types, by signal. Field numbers are
// those of opentelemetry-proto 1.x.
func requestTypes() [numSignals]*message {
	value := &message{isValue: true}
	keyValue := new(message).with(2, value)
	value.with(5, new(message).with(1, value))    // ArrayValue.values
	value.with(6, new(message).with(1, keyValue)) // KeyValueList.values

	resource := new(message).with(1, keyValue)
	scope := new(message).with(3, keyValue)
	request := func(record *message) *message {
		scoped := new(message).with(1, scope).with(2, record)
		return new(message).with(1, new(message).with(1, resource).with(2, scoped))
	}

	logRecord := new(message).with(5, value).with(6, keyValue)
	span := new(message).with(9, keyValue).
		with(11, new(message).with(3, keyValue)). // events
		with(13, new(message).with(4, keyValue))  // links
	exemplar := new(message).with(7, keyValue)
	number := new(message).with(7, keyValue).with(5, exemplar)
	histogram := new(message).with(9, keyValue).with(8, exemplar)
	exponential := new(message).with(1, keyValue).with(11, exemplar)
	summary := new(message).with(7, keyValue)
	points := func(point *message) *message { return new(message).with(1, point) }
	metric := new(message).with(5, points(number)).with(7, points(number)).with(9, points(histogram)).
		with(10, points(exponential)).with(11, points(summary)).with(12, keyValue)

	return [numSignals]*message{Logs: request(logRecord), Traces: request(span), Metrics: request(metric)}
}

// checkNesting walks a message on the wire and returns an error for attribute
// values that are nested too deep, and for bytes that are no protobuf.
func (m *message) checkNesting(body []byte, depth int) error {
	if m.isValue {
		if depth++; depth > MaxNesting {
			return errNesting
		}
	}
	enough := levelSize * (MaxNesting - depth)
	for len(body) > 0 {
		// The usual field, skipped without a call: a tag and a length of one byte
		// each, and too short to matter.
		if len(body) >= 2 && body[0]&0x87 == byte(protowire.BytesType) && body[1] < 0x80 {
			if n := int(body[1]); n < enough && n+2 <= len(body) {
				body = body[n+2:]
				continue
			}
		}
		field, wireType, n := protowire.ConsumeTag(body)
		if n < 0 {
			return malformed(n)
		}
		body = body[n:]
		if wireType != protowire.BytesType {
			// Groups are not part of OTLP, and skipping one recurses.
			if wireType == protowire.StartGroupType {
				return fault.Invalidf("malformed protobuf: unexpected group")
			}
			if n = protowire.ConsumeFieldValue(field, wireType, body); n < 0 {
				return malformed(n)
			}
			body = body[n:]
			continue
		}
		content, n := protowire.ConsumeBytes(body)
		if n < 0 {
			return malformed(n)
		}
		body = body[n:]
		// A level takes two tags and two lengths: what is shorter than the levels
		// that are left to the limit cannot reach it. That is nearly everything,
		// and makes the check cheap.
		if len(content) < enough {
			continue
		}
		if int(field) < len(m.fields) && m.fields[field] != nil {
			if err := m.fields[field].checkNesting(content, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func malformed(code int) error {
	return fault.Invalidf("malformed protobuf: %w", protowire.ParseError(code))
}
