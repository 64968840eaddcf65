// Package otlpwire walks OTLP messages in protobuf wire form without building
// objects of them: what the signals share (Resource, InstrumentationScope,
// KeyValue, AnyValue) and the walk over one message's fields on which a signal
// builds its own loop:
//
//	for b := message; len(b) > 0; {
//		f, rest, err := otlpwire.Next(b)
//		if err != nil {
//			return err
//		}
//		b = rest
//		switch f.Number {
//		case 1:
//			raw, err := f.AsBytes()
//			…
//		}
//	}
//
// # Promises
//
//  1. Nothing is copied: byte slices point into the message, and live as long
//     as it does. Nothing is allocated but where a dst is grown.
//  2. Fields may come in any order (some encoders write them backwards), repeat,
//     or be unknown; unknown ones, groups included, are skipped.
//  3. Merging follows protobuf: a message that occurs twice means both occurrences
//     one after the other, a scalar or oneof that occurs twice means the last one.
//  4. Malformed input is an error that wraps ErrMalformed, never a panic. Nesting deeper
//     than MaxDepth is ErrTooDeep.
//  5. Strings are handed out as received; Text replaces what is not UTF-8.
package otlpwire
