// Package tempopb has the messages of Tempo's streaming query service, generated from tempo.proto.
package tempopb
