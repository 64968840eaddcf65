// Package jaegerstoragepb has the messages of what Jaeger asks of a remote storage, version 2, generated from storage.proto.
package jaegerstoragepb
