// Package jaegerpb has the messages of Jaeger's query service, version 3, generated from query_service.proto.
package jaegerpb
